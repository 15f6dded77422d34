// Refreshes the page's live part when the server says that a record arrived.  Without this script
// the page works the same after a reload.
"use strict";
(function () {
    var live = document.getElementById("live");
    var line = document.getElementById("line");
    if (!live || !line || !window.EventSource)
        return;
    var title = document.title;
    var unseen = 0;
    var timer = 0;
    var source = new EventSource("/events?after=" + encodeURIComponent(live.dataset.arrival));

    function show(on) {
        line.className = on ? "on" : "off";
        line.textContent = on ? line.dataset.on : line.dataset.off;
    }

    // Somebody who is writing an answer must not lose it.
    function busy() {
        var at = document.activeElement;
        if (at && live.contains(at) && /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName))
            return true;
        return Array.prototype.some.call(live.querySelectorAll("input[type=text]"), function (i) {
            return i.value !== "";
        });
    }

    function later(wait_ms) {
        clearTimeout(timer);
        timer = setTimeout(refresh, wait_ms);
    }

    function replace(html) {
        var next = new DOMParser().parseFromString(html, "text/html").getElementById("live");
        if (!next)
            return location.reload();
        var known = {};
        live.querySelectorAll("article.report").forEach(function (a) { known[a.id] = true; });
        var fresh = 0;
        next.querySelectorAll("article.report").forEach(function (a) {
            if (!known[a.id]) {
                a.classList.add("new");
                fresh++;
            }
        });
        live.replaceWith(next);
        live = next;
        if (document.hidden && fresh) {
            unseen += fresh;
            document.title = "(" + unseen + ") " + title;
        }
    }

    function refresh() {
        if (busy())
            return later(2000);
        fetch(location.href, { credentials: "same-origin" }).then(function (answer) {
            if (!answer.ok)
                throw new Error(answer.status);
            return answer.text();
        }).then(replace).catch(function () {
            show(false);
            later(5000);
        });
    }

    source.onopen = function () { show(true); };
    source.onerror = function () { show(false); };
    source.addEventListener("report", function () { later(200); });
    document.addEventListener("visibilitychange", function () {
        if (!document.hidden) {
            unseen = 0;
            document.title = title;
        }
    });
})();
