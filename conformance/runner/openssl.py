"""What Python's ssl module cannot do: OpenSSL called directly, and its
command line."""

import ctypes
import subprocess

XMPP_ADDR = "1.3.6.1.5.5.7.8.5"  # id-on-xmppAddr, RFC 6120 section 13.7.1.4
EXPORTER_LABEL = b"EXPORTER-Channel-Binding"  # RFC 9266 section 2
# struct PySSLSocket begins: PyObject_HEAD, PyObject *Socket, SSL *ssl.
SSL_OFFSET = object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)


def library():
    found = ctypes.CDLL("libssl.so.3")
    found.SSL_get_version.restype = ctypes.c_char_p
    return found


def pointer(sock):
    """The SSL * below a socket of the ssl module."""
    inner = sock._sslobj  # the module has no public way to it
    found = ctypes.c_void_p.from_address(id(inner) + SSL_OFFSET)
    if library().SSL_get_version(found).decode() != sock.version():
        raise OSError("this Python's SSL sockets are laid out differently")
    return found


def exporter(sock):
    """tls-exporter of that connection, RFC 9266."""
    out = ctypes.create_string_buffer(32)
    if library().SSL_export_keying_material(
            pointer(sock), out, ctypes.c_size_t(32), EXPORTER_LABEL,
            ctypes.c_size_t(len(EXPORTER_LABEL)), b"", ctypes.c_size_t(0),
            1) != 1:
        raise OSError("no keying material to export")
    return out.raw


def renegotiate(sock):
    """Asks for a new handshake on a connection of TLS 1.2."""
    ssl = pointer(sock)
    if library().SSL_renegotiate(ssl) != 1:
        raise OSError("this OpenSSL does not renegotiate")
    library().SSL_do_handshake(ssl)


def run(*words):
    subprocess.run(("openssl", *map(str, words)), check=True,
                   capture_output=True)
