"""The portal over HTTP for load: a bounded number of requests at work at once, as Lambda's concurrency bounds them.

`python -m bench.server PORT` serves until its standard input closes.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

AT_ONCE = 32


class Server(WSGIServer):
    request_queue_size = 1024
    workers = ThreadPoolExecutor(AT_ONCE)

    def process_request(self, request, client_address):
        self.workers.submit(self._serve, request, client_address)

    def _serve(self, request, client_address):
        try:
            self.finish_request(request, client_address)
        finally:
            self.shutdown_request(request)


class Quiet(WSGIRequestHandler):
    def address_string(self) -> str:
        return ""

    def log_message(self, *arguments: object) -> None:
        pass


def main() -> None:
    from portal.wsgi import application

    server = make_server("127.0.0.1", int(sys.argv[1]), application, server_class=Server, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
