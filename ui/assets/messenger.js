// The list of bubbles. Every text is set through textContent: what a memory holds is never HTML.

const PAUSE = 300; // seconds of silence after which the time is written above a message
const HOUR = 3600, DAY = 24 * HOUR;

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function clock(seconds) {
  const then = new Date(seconds * 1000), now = new Date();
  const time = then.toLocaleTimeString("zh-CN", { hour: "2-digit", minute: "2-digit", hour12: false });
  const midnight = (day) => new Date(day.getFullYear(), day.getMonth(), day.getDate()).getTime() / 1000;
  const days = Math.round((midnight(now) - midnight(then)) / DAY);
  if (days === 0) return time;
  if (days === 1) return `昨天 ${time}`;
  const date = `${then.getMonth() + 1}月${then.getDate()}日 ${time}`;
  return then.getFullYear() === now.getFullYear() ? date : `${then.getFullYear()}年${date}`;
}

class Messenger {
  constructor(root) {
    this.root = root;
    this.list = root.querySelector(".list");
    this.nodes = new Map();
    this.stop = new AbortController();
    const on = (target, name, handler) => target.addEventListener(name, handler, { signal: this.stop.signal });
    on(root, "contextmenu", (event) => this.openMenu(event));
    on(root, "click", (event) => this.click(event));
    on(document, "pointerdown", (event) => { if (!event.composedPath().includes(this.menu)) this.closeMenu(); });
    on(document, "scroll", () => this.closeMenu());
    on(document, "keydown", (event) => { if (event.key === "Escape") this.closeMenu(); });
  }

  show(data) {
    this.data = data;
    this.header();
    const first = this.nodes.size === 0;
    const before = this.last;
    const kept = new Map();
    const children = [];
    let previous = null, fresh = 0;
    if (data.more) children.push(this.earlier());
    for (const message of data.messages) {
      const gap = previous === null || message.timestamp - previous.timestamp > PAUSE;
      if (gap) children.push(element("div", "time", clock(message.timestamp)));
      const follows = !gap && previous.role === message.role;
      let node = this.nodes.get(message.key);
      if (!node) {
        node = this.bubble(message);
        if (!first && message.role === "assistant" && (before === undefined || message.message_id > before)) {
          node.classList.add("fresh");
          node.style.animationDelay = `${fresh * 350}ms`;
          fresh += 1;
        }
      }
      node.classList.toggle("follows", follows);
      this.marked(node, message);
      kept.set(message.key, node);
      children.push(node);
      previous = message;
    }
    if (data.typing) children.push(this.typing());
    if (!data.messages.length && !data.typing) children.push(element("div", "empty", data.strings.empty));
    this.nodes = kept;
    this.last = data.messages.reduce((most, message) => Math.max(most, message.message_id), 0);
    const tail = this.tail;
    this.list.replaceChildren(...children);
    this.tail = data.typing ? "typing" : previous && previous.key;
    if (this.tail !== tail) requestAnimationFrame(() => this.root.querySelector(".end").scrollIntoView({ block: "end" }));
  }

  header() {
    const { persona, strings } = this.data;
    this.root.querySelector(".name").textContent = persona;
    this.root.querySelector(".face").textContent = [...persona].slice(-1)[0] || "";
    this.root.querySelector(".disclosure").textContent = strings.disclosure;
    this.root.querySelector(".voice").textContent = strings.voice;
    this.list.setAttribute("aria-label", strings.list);
  }

  bubble(message) {
    const row = element("div", `row ${message.role}`);
    row.dataset.id = message.message_id;
    row.dataset.key = message.key;
    const avatar = element("div", "avatar", [...message.speaker].slice(-1)[0] || "");
    avatar.setAttribute("aria-hidden", "true");
    const bubble = element("div", "bubble", message.text);
    bubble.setAttribute("dir", "auto");
    row.append(avatar, bubble);
    if (message.role === "assistant") {
      const star = element("button", "star");
      star.type = "button";
      row.append(star);
    }
    return row;
  }

  marked(row, message) {
    row.classList.toggle("marked", message.marked);
    const star = row.querySelector(".star");
    if (!star) return;
    const label = message.marked ? this.data.strings.unmark : this.data.strings.mark;
    star.textContent = message.marked ? "★" : "☆";
    star.title = label;
    star.setAttribute("aria-label", label);
    star.setAttribute("aria-pressed", String(message.marked));
  }

  earlier() {
    const line = element("div", "earlier");
    const button = element("button", "", this.data.strings.earlier);
    button.type = "button";
    button.dataset.action = "earlier";
    line.append(button);
    return line;
  }

  typing() {
    const row = element("div", "row assistant typing");
    const bubble = element("div", "bubble");
    bubble.setAttribute("role", "status");
    bubble.setAttribute("aria-label", this.data.strings.typing);
    for (let dot = 0; dot < 3; dot += 1) bubble.append(element("i"));
    row.append(element("div", "avatar", [...this.data.persona].slice(-1)[0] || ""), bubble);
    return row;
  }

  click(event) {
    if (event.target.closest(".menu")) return;
    if (event.target.dataset.action === "earlier") this.send("earlier", Date.now());
    else if (event.target.classList.contains("star")) this.mark(event.target.closest(".row"));
  }

  mark(row) {
    const message = this.data.messages.find((candidate) => candidate.key === row.dataset.key);
    this.send("mark", { message_id: message.message_id, good: !message.marked });
  }

  openMenu(event) {
    const row = event.target.closest(".row");
    // A selection keeps the browser's own menu.
    if (!row || row.classList.contains("typing") || String(document.getSelection())) return;
    event.preventDefault();
    this.closeMenu();
    const { strings } = this.data;
    const menu = element("div", "menu");
    menu.setAttribute("role", "menu");
    const entry = (label, act) => {
      const item = element("button", "", label);
      item.type = "button";
      item.setAttribute("role", "menuitem");
      item.addEventListener("click", () => { this.closeMenu(); act(); });
      menu.append(item);
    };
    if (row.classList.contains("assistant"))
      entry(row.classList.contains("marked") ? strings.unmark : strings.mark, () => this.mark(row));
    entry(strings.copy, () => navigator.clipboard?.writeText(row.querySelector(".bubble").textContent));
    this.root.append(menu);
    menu.style.left = `${Math.min(event.clientX, innerWidth - menu.offsetWidth - 8)}px`;
    menu.style.top = `${Math.min(event.clientY, innerHeight - menu.offsetHeight - 8)}px`;
    this.menu = menu;
    menu.firstElementChild.focus();
  }

  closeMenu() {
    this.menu?.remove();
    this.menu = null;
  }

  close() {
    this.closeMenu();
    this.stop.abort();
    this.list.replaceChildren();
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".messenger");
  root.view ??= new Messenger(root);
  root.view.send = setTriggerValue;
  root.view.show(data);
  return () => { root.view?.close(); delete root.view; };
}
