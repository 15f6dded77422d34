// On the board: refreshes its live part when the server says that a record arrived.  On every page:
// shows and sounds calls for help.  Without this script the pages work the same after a reload.
"use strict";
(function () {
    var live = document.getElementById("live");
    var line = document.getElementById("line");
    var calls = document.getElementById("calls"); // on all pages but the board
    var title = document.title;
    var STATUS_MS = 15000, BUSY_MS = 5000, RETRY_MS = 5000, REMIND_MS = 60000;
    var unseen = 0;
    var opened = false;
    var timer = 0;
    var shown = ""; // the page as it was last fetched

    // A call for help is heard, too: two tones made here, since a page may load nothing from
    // outside.  Browsers allow sound only after somebody touched a page; the button says whether
    // it would ring, and the next page remembers.
    var bell = document.getElementById("sound");
    var audio = null;
    var rung_ms = 0; // when it last rang

    function beep() {
        if (!audio)
            return;
        [880, 660, 880, 660].forEach(function (hertz, i) {
            var tone = audio.createOscillator(), level = audio.createGain();
            tone.frequency.value = hertz;
            level.gain.value = 0.2;
            tone.connect(level).connect(audio.destination);
            tone.start(audio.currentTime + i * 0.25);
            tone.stop(audio.currentTime + i * 0.25 + 0.2);
        });
    }

    function rescues(page) {
        var bar = page.querySelector(".jump .rescue");
        return bar ? +bar.dataset.count : 0;
    }

    // A new call rings at once, one that nobody answers every minute.
    function ring(page) {
        var now = rescues(page);
        if (now > rescues(document) || (now > 0 && Date.now() - rung_ms >= REMIND_MS)) {
            beep();
            rung_ms = Date.now();
        }
    }

    function set_bell(on) {
        var on_now = on && audio && audio.state === "running";
        bell.textContent = on_now ? bell.dataset.on : bell.dataset.off;
        bell.className = on_now ? "on" : "";
    }

    if (bell && window.AudioContext) {
        bell.hidden = false;
        if (sessionStorage.getItem("bell")) {
            audio = new AudioContext();
            audio.onstatechange = function () { set_bell(true); };
            document.addEventListener("click", function () { audio && audio.resume(); });
        }
        set_bell(true);
        bell.addEventListener("click", function (event) {
            var on = bell.className !== "on";
            event.stopPropagation();
            audio = on ? audio || new AudioContext() : null;
            sessionStorage.setItem("bell", on ? "on" : "");
            if (on)
                audio.resume().then(function () { set_bell(true); beep(); });
            else
                set_bell(false);
        });
    }

    document.querySelectorAll("button.copy").forEach(function (button) {
        button.hidden = false;
        button.addEventListener("click", function () {
            button.parentNode.querySelector("textarea").select();
            if (document.execCommand("copy")) // the clipboard's own interface wants HTTPS
                button.textContent = button.dataset.done;
        });
    });

    if (calls) {
        if (calls.dataset.words)
            title = title.replace(calls.dataset.words + " · ", "");
        setInterval(function () {
            fetch("/calls?lang=" + document.documentElement.lang, { credentials: "same-origin" })
                .then(function (answer) { return answer.text(); }).then(function (html) {
                    var now = new DOMParser().parseFromString(html, "text/html")
                        .getElementById("calls");
                    if (!now) // logged out: the next press says so
                        return;
                    ring(now.ownerDocument);
                    if (!calls.contains(document.activeElement)) {
                        calls.replaceWith(now);
                        calls = now;
                    }
                    var words = now.dataset.words;
                    document.title = words ? words + " · " + title : title;
                }).catch(function () {}); // asked again soon
        }, STATUS_MS);
    }
    if (!live || !line || !window.EventSource)
        return;
    var source = new EventSource("/events?after=" + encodeURIComponent(live.dataset.arrival));

    // "off": the browser gave up, only a reload helps.
    function show(state) {
        line.className = state === "on" ? "on" : "off";
        line.textContent = line.dataset[state];
    }

    // Somebody who is writing an answer must not lose it, nor the place of the keyboard.
    function busy() {
        var at = document.activeElement;
        if (at && live.contains(at) && /^(INPUT|SELECT|TEXTAREA)$/.test(at.tagName))
            return true;
        if (live.querySelector("details[open]"))
            return true;
        return Array.prototype.some.call(live.querySelectorAll("input[type=text]"), function (i) {
            return i.value !== "";
        });
    }

    function later(wait_ms) {
        clearTimeout(timer);
        timer = setTimeout(refresh, wait_ms);
    }

    // What must be seen even while an answer is being written: calls for help, the node's state.
    function warn(page) {
        title = page.title;
        [".jump", ".status"].forEach(function (part) {
            var old = live.querySelector(part), now = page.querySelector("#live " + part);
            if (old && now && !old.contains(document.activeElement))
                old.replaceWith(now);
        });
    }

    function replace(page) {
        var next = page.getElementById("live");
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
        title = page.title;
        if (document.hidden)
            unseen += fresh;
    }

    function take(html) {
        var page = new DOMParser().parseFromString(html, "text/html");
        if (!page.getElementById("live"))
            return location.reload();
        if (source.readyState === EventSource.OPEN)
            show("on");
        ring(page);
        if (busy()) {
            warn(page);
            later(BUSY_MS);
        } else if (html !== shown) {
            shown = html;
            replace(page);
        }
        document.title = unseen ? "(" + unseen + ") " + title : title;
    }

    function refresh() {
        fetch(location.href, { credentials: "same-origin" }).then(function (answer) {
            if (!answer.ok)
                throw new Error(answer.status);
            return answer.text();
        }).then(take).catch(function () {
            show("lost");
            later(RETRY_MS);
        });
    }

    // After a gap whatever came in meanwhile is fetched, too.
    source.onopen = function () {
        show("on");
        if (opened)
            later(200);
        opened = true;
    };
    source.onerror = function () {
        show(source.readyState === EventSource.CLOSED ? "off" : "lost");
    };
    // The node's state, airtime and the outbox change without a report.
    setInterval(function () {
        if (source.readyState === EventSource.OPEN && !live.contains(document.activeElement))
            refresh();
    }, STATUS_MS);
    source.addEventListener("report", function () { later(200); });
    document.addEventListener("visibilitychange", function () {
        if (!document.hidden) {
            unseen = 0;
            document.title = title;
        }
    });
})();
