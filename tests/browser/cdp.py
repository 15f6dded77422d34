#!/usr/bin/env python3
"""Drives a headless Chromium over its debugging protocol; standard library only.

usage: cdp.py [--chromium PATH] [--width PX] [--height PX] [--timeout S] URL STEP...

Steps, done in order:
  wait:SELECTOR          until an element matches
  wait-text:TEXT         until the page shows this text
  wait-js:EXPRESSION     until it is true
  click:SELECTOR         clicks the first match
  type:SELECTOR::TEXT    puts text into a field
  eval:EXPRESSION        prints its value as JSON
  goto:URL               opens another page
  shot:FILE              writes a PNG of the whole page
  run:COMMAND            runs a shell command (what the page should then react to)

Exits 0 when every step was done, 1 with one line when one was not in time, 2 for wrong usage.
A page that asks for anything outside its own origin, or raises an error, fails too.
"""
import argparse
import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse


class Failure(Exception):
    pass


class WebSocket:
    """A client for one connection, text messages only (RFC 6455)."""

    def __init__(self, url, deadline):
        parts = urllib.parse.urlsplit(url)
        self.sock = socket.create_connection((parts.hostname, parts.port), timeout=10)
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall((
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.hostname}:{parts.port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        self.buf = b""
        while b"\r\n\r\n" not in self.buf:
            self.fill(deadline)
        head, self.buf = self.buf.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise Failure("Chromium refused the debugging connection")

    def fill(self, deadline):
        self.sock.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            data = self.sock.recv(65536)
        except (TimeoutError, socket.timeout):
            raise Failure("Chromium does not answer")
        if not data:
            raise Failure("Chromium closed the connection")
        self.buf += data

    def take(self, count, deadline):
        while len(self.buf) < count:
            self.fill(deadline)
        data, self.buf = self.buf[:count], self.buf[count:]
        return data

    def send(self, text):
        data = text.encode()
        mask = os.urandom(4)
        if len(data) < 126:
            head = struct.pack("!BB", 0x81, 0x80 | len(data))
        elif len(data) < 65536:
            head = struct.pack("!BBH", 0x81, 0x80 | 126, len(data))
        else:
            head = struct.pack("!BBQ", 0x81, 0x80 | 127, len(data))
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
        self.sock.sendall(head + mask + masked)

    def receive(self, deadline):
        text = b""
        while True:
            first, second = self.take(2, deadline)
            count = second & 0x7F
            if count == 126:
                count = struct.unpack("!H", self.take(2, deadline))[0]
            elif count == 127:
                count = struct.unpack("!Q", self.take(8, deadline))[0]
            data = self.take(count, deadline)
            if first & 0x0F == 8:
                raise Failure("Chromium closed the connection")
            if first & 0x0F in (0, 1):
                text += data
                if first & 0x80:
                    return text.decode()


class Browser:
    def __init__(self, args):
        self.timeout = args.timeout
        self.origin = "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(args.url))
        self.count = 0
        self.trouble = []
        self.profile = tempfile.mkdtemp(prefix="keng-browser.")
        chromium = args.chromium or shutil.which("chromium") or shutil.which("chromium-browser")
        if not chromium:
            raise Failure("no chromium found: install it or name it with --chromium")
        self.process = subprocess.Popen(
            [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
             "--no-proxy-server",
             "--ignore-certificate-errors" if args.insecure else "--mute-audio",
             "--remote-debugging-port=0", f"--user-data-dir={self.profile}",
             f"--window-size={args.width},{args.height}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        deadline = time.monotonic() + self.timeout
        self.socket = WebSocket(self.find_page(deadline), deadline)
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")
        self.call("Emulation.setDeviceMetricsOverride", width=args.width, height=args.height,
                  deviceScaleFactor=1, mobile=args.width < 600)

    def find_page(self, deadline):
        port_file = os.path.join(self.profile, "DevToolsActivePort")
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failure("Chromium ended at once")
            try:
                with open(port_file) as file:
                    port = int(file.readline())
                with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                    sock.sendall(f"GET /json/list HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                                 "Connection: close\r\n\r\n".encode())
                    answer = b""
                    while not (b"webSocketDebuggerUrl" in answer
                               and answer.rstrip().endswith(b"]")):
                        data = sock.recv(65536)
                        if not data:
                            break
                        answer += data
                pages = json.loads(answer.split(b"\r\n\r\n", 1)[1])
                return next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page")
            except (OSError, ValueError, IndexError, StopIteration):
                time.sleep(0.05)
        raise Failure("Chromium did not start in time")

    def note(self, message):
        """Keeps what a clean page never does."""
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith((self.origin + "/", "data:", "about:")):
                self.trouble.append("a request went outside: " + url)
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            said = details.get("exception", {}).get("description", "")
            self.trouble.append(f"a script failed: {details.get('text', '')} {said}")
        elif method == "Log.entryAdded" and params["entry"]["source"] == "security":
            self.trouble.append("security: " + params["entry"]["text"])
        elif method == "Page.javascriptDialogOpening":
            self.trouble.append("a dialog opened: " + params.get("message", ""))

    def call(self, method, **params):
        deadline = time.monotonic() + self.timeout
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.receive(deadline))
            if message.get("id") == self.count:
                if "error" in message:
                    raise Failure(f"{method}: {message['error'].get('message')}")
                return message["result"]
            self.note(message)

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise Failure("script: " + result["exceptionDetails"].get("text", "") + " "
                          + result["result"].get("description", ""))
        return result["result"].get("value")

    def wait(self, expression, what):
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            try:
                if self.evaluate(expression):
                    return
            except Failure:
                pass  # the page is just being replaced
            time.sleep(0.05)
        raise Failure("not in time: " + what)

    def goto(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'", url)

    def shot(self, path):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                         clip={"x": 0, "y": 0, "width": size["width"], "height": size["height"],
                               "scale": 1})["data"]
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def step(self, step):
        verb, _, rest = step.partition(":")
        if verb == "wait":
            self.wait(f"!!document.querySelector({json.dumps(rest)})", step)
        elif verb == "wait-text":
            self.wait(f"document.body.innerText.includes({json.dumps(rest)})", step)
        elif verb == "wait-js":
            self.wait(rest, step)
        elif verb == "click":
            self.wait(f"!!document.querySelector({json.dumps(rest)})", step)
            self.evaluate(f"document.querySelector({json.dumps(rest)}).click()")
        elif verb == "type":
            selector, _, text = rest.partition("::")
            self.wait(f"!!document.querySelector({json.dumps(selector)})", step)
            self.evaluate(f"document.querySelector({json.dumps(selector)}).value = "
                          f"{json.dumps(text)}; undefined")
        elif verb == "eval":
            print(json.dumps(self.evaluate(rest), ensure_ascii=False))
        elif verb == "goto":
            self.goto(rest)
        elif verb == "shot":
            self.shot(rest)
        elif verb == "run":
            if subprocess.run(rest, shell=True, stdout=subprocess.DEVNULL).returncode != 0:
                raise Failure("command failed: " + rest)
        else:
            raise Failure("unknown step: " + step)
        if self.trouble:
            raise Failure(self.trouble[0])

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, 15)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, 9)
                self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--chromium")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--timeout", type=float, default=15)
    parser.add_argument("--insecure", action="store_true", help="take any certificate")
    parser.add_argument("url")
    parser.add_argument("steps", nargs="*")
    args = parser.parse_args()
    browser = None
    try:
        browser = Browser.__new__(Browser)
        browser.process = None
        browser.__init__(args)
        browser.goto(args.url)
        for step in args.steps:
            browser.step(step)
        return 0
    except Failure as failure:
        print(f"cdp.py: {failure}", file=sys.stderr)
        return 1
    finally:
        if browser and browser.process:
            browser.close()


if __name__ == "__main__":
    sys.exit(main())
