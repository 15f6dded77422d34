// bridge.mjs - a Chromium that does what it is told: one JSON line in, one JSON line out.
//
//   node bridge.mjs DIRECTORY_OF_PACKAGES CHROMIUM
//
// {"do": VERB, "at": DESK, ...} is answered with {"value": ...} or {"error": "..."}.  A desk is a
// browser of its own: cookies, width, language, with or without scripts.  A page that asks for
// anything outside its origin, raises an error, breaks its security policy or opens a dialog has
// its trouble told with the next answer.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [packages, executablePath] = process.argv.slice(2);
const require = createRequire(packages + "/");
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const TIMEOUT_MS = 20000;
const PICTURE_HEIGHT_MAX = 3000; // below that a board only goes on

const browser = await chromium.launch({ executablePath, chromiumSandbox: false,
    args: ["--no-proxy-server", "--disable-dev-shm-usage"] });
const desks = {};
const trouble = [];

// Tones that really sound: the context runs, the tone was started.
function countTones() {
    window.kengTones = 0;
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...args) {
        if (this.context.state === "running")
            window.kengTones++;
        return start.apply(this, args);
    };
}

function watch(page, name, origin) {
    page.on("pageerror", e => trouble.push(`${name}: a script failed: ${e.message}`));
    page.on("dialog", d => { trouble.push(`${name}: a dialog: ${d.message()}`); d.dismiss(); });
    page.on("console", m => {
        if (m.type() === "error" && !/Failed to load resource/.test(m.text()))
            trouble.push(`${name}: ${m.text()}`);
    });
    page.on("request", r => {
        if (!r.url().startsWith(origin + "/") && !/^(data|blob|about):/.test(r.url()))
            trouble.push(`${name}: a request went outside: ${r.url()}`);
    });
}

const verbs = {
    async open({ at, base, width, height = 800, script = true }) {
        const context = await browser.newContext({ viewport: { width, height },
            isMobile: width < 600, hasTouch: width < 600, javaScriptEnabled: script,
            timezoneId: "Asia/Ho_Chi_Minh", baseURL: base, acceptDownloads: true });
        context.setDefaultTimeout(TIMEOUT_MS);
        if (script)
            await context.addInitScript(countTones);
        desks[at] = await context.newPage();
        watch(desks[at], at, new URL(base).origin);
    },
    async close({ at }) {
        await desks[at].context().close();
        delete desks[at];
    },
    async resize({ at, width, height = 800 }) {
        await desks[at].setViewportSize({ width, height });
    },
    async goto({ at, path }) {
        const answer = await desks[at].goto(path);
        return answer.status();
    },
    async click({ at, what }) {
        await desks[at].locator(what).first().click();
        await desks[at].waitForLoadState(); // where it led to another page
    },
    fill: ({ at, what, text }) => desks[at].locator(what).first().fill(text),
    check: ({ at, what }) => desks[at].locator(what).first().check(),
    choose: ({ at, what, value }) => desks[at].locator(what).first().selectOption(value),
    press: ({ at, keys }) => desks[at].keyboard.press(keys),
    // Alt and a digit, as a keyboard sends it; leads to another page.
    async accesskey({ at, key }) {
        const session = await desks[at].context().newCDPSession(desks[at]);
        await Promise.all([desks[at].waitForNavigation(), session.send("Input.dispatchKeyEvent",
            { type: "keyDown", modifiers: 1, key, text: key, unmodifiedText: key,
                code: "Digit" + key, windowsVirtualKeyCode: key.charCodeAt(0) })]);
        await session.detach();
    },
    type: ({ at, text }) => desks[at].keyboard.type(text),
    see: ({ at, what, within_s = TIMEOUT_MS / 1000 }) =>
        desks[at].locator(what).first().waitFor({ timeout: within_s * 1000 }),
    text: ({ at, what }) => desks[at].locator(what).first().innerText(),
    count: ({ at, what }) => desks[at].locator(what).count(),
    url: ({ at }) => desks[at].url(),
    ask: ({ at, script }) => desks[at].evaluate(script),
    // Asked from outside: what waits inside the page would need the eval its policy forbids.
    async until({ at, script, within_s = TIMEOUT_MS / 1000 }) {
        const deadline = Date.now() + within_s * 1000;
        while (!await desks[at].evaluate(script)) {
            if (Date.now() > deadline)
                throw new Error(`not within ${within_s} s: ${script}`);
            await desks[at].waitForTimeout(100);
        }
    },
    async save({ at, what, file }) {
        const [download] = await Promise.all([desks[at].waitForEvent("download"),
            desks[at].locator(what).first().click()]);
        await download.saveAs(file);
        return download.suggestedFilename();
    },
    async shot({ at, file, print = false }) {
        if (print)
            await desks[at].emulateMedia({ media: "print" });
        const { width } = desks[at].viewportSize();
        const whole = await desks[at].evaluate("document.documentElement.scrollHeight");
        await desks[at].screenshot({ path: file, fullPage: true, animations: "disabled",
            clip: { x: 0, y: 0, width, height: Math.min(whole, PICTURE_HEIGHT_MAX) } });
        if (print)
            await desks[at].emulateMedia({ media: null });
    },
    // As it would leave the printer.
    pdf: ({ at, file }) => desks[at].pdf({ path: file, preferCSSPageSize: true }).then(() => null),
    // What axe finds, one line each; rules that need a look are counted, not judged.
    async axe({ at }) {
        await desks[at].evaluate(axe);
        const found = await desks[at].evaluate(() => window.axe.run(document,
            { rules: { "target-size": { enabled: true } } }));
        return { rules: found.passes.length, unsure: found.incomplete.map(i => i.id),
            violations: found.violations.flatMap(v => v.nodes.map(n =>
                `${v.id}: ${n.target.join(" ")}: ${n.failureSummary.split("\n").slice(1)
                    .join(" ").trim()}`)) };
    },
};

console.log(JSON.stringify({ value: browser.version() }));
for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    const answer = {};
    try {
        answer.value = await verbs[order.do](order) ?? null;
    } catch (error) {
        answer.error = `${order.do} ${order.what ?? order.path ?? ""}: ${error.message}`;
    }
    if (trouble.length > 0)
        answer.error = [answer.error, ...trouble.splice(0)].filter(Boolean).join("\n");
    console.log(JSON.stringify(answer));
}
await browser.close();
