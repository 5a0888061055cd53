(function () {
  var body = document.body, main = document.querySelector("main"), since = body.dataset.changes, last = Date.now(), timer = 0;
  if (!since || !window.EventSource || !window.fetch) return;
  function busy() {
    return Array.prototype.some.call(main.querySelectorAll("input[type=text]"), function (field) {
      return field.value || field === document.activeElement;
    });
  }
  function load() {
    timer = 0; last = Date.now();
    if (busy()) return;
    fetch(location.href, {cache: "no-store"}).then(function (answer) {
      return answer.ok ? answer.text() : Promise.reject(answer.status);
    }).then(function (html) {
      var page = new DOMParser().parseFromString(html, "text/html"), next = page.querySelector("main");
      if (!next || busy()) return;
      var link = document.activeElement && document.activeElement.getAttribute("href");
      main.replaceWith(next); main = next; document.title = page.title; body.classList.remove("cut");
      if (link) Array.prototype.some.call(main.querySelectorAll("a"), function (a) {
        if (a.getAttribute("href") === link) { a.focus({preventScroll: true}); return true; }
      });
    }).catch(function () { body.classList.add("cut"); });
  }
  function soon() { if (!timer) timer = setTimeout(load, Math.max(0, last + 2000 - Date.now())); }
  var events = new EventSource("/events?since=" + since);
  events.onmessage = soon;
  events.onopen = function () { body.classList.remove("cut"); };
  events.onerror = function () { body.classList.add("cut"); };
  setInterval(soon, 15000);
})();
