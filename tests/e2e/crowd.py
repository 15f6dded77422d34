"""crowd.py - strangers who open connections, say little, never read, and come again when dropped.

A process of its own, so that the tests can ask as a person would meanwhile.
"""
import multiprocessing
import resource
import selectors
import socket
import ssl
import time

HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
# What each connection begins with, and what it goes on with: a byte now and then, so that it is
# never silent for long.
TALES = {
    "half a head": (HEAD + b"X-Slow: ", b"a"),
    "a slow body": (b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 40000\r\n\r\n",
                    b"a"),
    "an answer never read": (b"GET /leaflet.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 20, b""),
    "nothing at all": (b"", b""),
    # The beginning of a ClientHello that goes on for ever.
    "half a handshake": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00"),
}
DRIP_S = 0.5


def opened(port, address, tale):
    s = socket.socket()
    s.setblocking(False)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    try:
        s.bind((address, 0))
        s.connect(("127.0.0.1", port))
    except BlockingIOError:
        pass
    except OSError:
        s.close()
        return None
    return s, tale


def fill(selector, port, addresses, tales, count, number):
    """As many connections as there should be; the number of the next."""
    for _ in range(count - len(selector.get_map())):
        one = opened(port, addresses[number % len(addresses)], tales[number % len(tales)])
        number += 1
        if one:
            selector.register(one[0], selectors.EVENT_READ | selectors.EVENT_WRITE,
                              [TALES[one[1]][0], TALES[one[1]][1], one[1]])
    return number


def attend(selector, key, mask):
    """Says what is left to say; False when the server let go."""
    left, _, tale = key.data
    try:
        if left and mask & selectors.EVENT_WRITE:
            key.data[0] = left[key.fileobj.send(left):]
        if not key.data[0]:
            selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
        if mask & selectors.EVENT_READ and tale != "an answer never read":
            return bool(key.fileobj.recv(4096))
        if mask & selectors.EVENT_READ:
            time.sleep(0.0002)  # it is there to be read, for ever
            return bool(key.fileobj.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


def run(port, addresses, tales, count, dropped, stop):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    selector = selectors.DefaultSelector()
    number, drip = 0, 0
    while not stop.is_set():
        number = fill(selector, port, addresses, tales, count, number)
        for key, mask in selector.select(0.1):
            if not attend(selector, key, mask):
                selector.unregister(key.fileobj)
                key.fileobj.close()
                dropped.value += 1
        if time.monotonic() > drip:
            drip = time.monotonic() + DRIP_S
            for key in list(selector.get_map().values()):
                key.data[0] += key.data[1]
                if key.data[0]:
                    selector.modify(key.fileobj, selectors.EVENT_READ | selectors.EVENT_WRITE,
                                    key.data)


class Crowd:
    """`count` connections of `address_count` addresses, held as long as the block lasts."""

    def __init__(self, port, address_count, count, tales=None):
        addresses = [f"127.0.{1 + i // 200}.{1 + i % 200}" for i in range(address_count)]
        self.dropped = multiprocessing.Value("L")
        self.stop = multiprocessing.Event()
        self.process = multiprocessing.Process(
            target=run, args=(port, addresses, list(tales or TALES), count, self.dropped,
                              self.stop), daemon=True)

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stop.set()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()


def get(port, path, source="127.0.0.1", headers="", tls=False, within_s=5.0):
    """The status of one page on a connection of its own, and how long it took; 0: no answer."""
    began = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), within_s, (source, 0)) as plain:
            s = plain
            if tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                s = context.wrap_socket(plain)
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}"
                      "Connection: close\r\n\r\n".encode())
            text = b""
            while (more := s.recv(1 << 16)):
                text += more
                s.settimeout(max(0.1, began + within_s - time.monotonic()))
            return int(text.split(None, 2)[1]) if text else 0, time.monotonic() - began
    except (OSError, ValueError, IndexError):
        return 0, time.monotonic() - began
