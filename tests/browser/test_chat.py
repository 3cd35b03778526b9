"""What somebody sees and does on the chat page."""

from __future__ import annotations

from selenium.common.exceptions import ElementClickInterceptedException
from selenium.webdriver.common.action_chains import ActionChains


def test_a_message_appears_at_once_and_is_answered_with_bubbles(page):
    before = len(page.texts("assistant"))
    page.say("晚上吃什么呀")
    page.wait(lambda: page.texts("user")[-1] == "晚上吃什么呀")
    bubbles = page.wait(lambda: len(page.texts("assistant")) > before and page.texts("assistant")[before:])
    assert all(0 < len(bubble) <= 40 for bubble in bubbles)
    page.wait(lambda: page.deep("article"))


def test_the_page_says_that_it_is_a_simulation_and_that_the_voice_is_the_offline_one(page):
    (disclosure,) = page.deep(".disclosure")
    (voice,) = page.deep(".voice")
    assert "这是根据聊天记录做的模拟，不是小满本人" in disclosure.text
    assert "离线声音" in voice.text


def test_the_page_holds_the_chat_and_nothing_else(page):
    main = page.driver.find_element("css selector", "[data-testid=stMainBlockContainer]")
    assert not main.find_elements("css selector", "[data-testid=stMarkdown], [data-testid=stException]")


def test_text_that_looks_like_html_is_shown_as_text(page):
    page.wait(lambda: "<b>晚安</b>" in page.texts("user"))
    assert not page.deep(".bubble b")


def test_a_bubble_marked_by_right_click_is_still_marked_after_a_reload_and_can_be_unmarked(page):
    row = page.deep(".row.assistant")[-1]
    ActionChains(page.driver).context_click(row.find_element("css selector", ".bubble")).perform()
    (mark, copy) = page.wait(lambda: page.deep(".menu button"))
    assert (mark.text, copy.text) == ("标记这条不错", "复制")
    mark.click()
    page.wait(lambda: page.deep(".row.marked"))
    page.driver.refresh()
    page.wait(lambda: page.deep(".row.marked"))
    (star,) = page.deep(".row.marked .star")
    assert star.get_attribute("aria-pressed") == "true"

    def unmark():
        # The page may still be moving towards its end, and the bar at its foot then lies over the star.
        page.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", star)
        try:
            star.click()
        except ElementClickInterceptedException:
            return False
        return True

    page.wait(unmark)
    page.wait(lambda: page.deep(".row") and not page.deep(".row.marked"))


def test_escape_closes_the_menu(page):
    bubble = page.deep(".row.assistant .bubble")[-1]
    ActionChains(page.driver).context_click(bubble).perform()
    page.wait(lambda: page.deep(".menu"))
    ActionChains(page.driver).send_keys("\ue00c").perform()
    page.wait(lambda: not page.deep(".menu"))
