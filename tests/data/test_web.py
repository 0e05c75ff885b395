"""A download arrives whole and right, or not at all."""

import errno
import hashlib
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from scripts.data.web import ATTEMPTS, Unavailable, fetch

CONTENT = bytes(range(256)) * 20_000  # 5 MB
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "file.zip"


@pytest.fixture
def part(target):
    return target.with_name("file.zip.part")


@pytest.fixture
def url(site):
    site.files["/file.zip"] = CONTENT
    return f"{site.address}/file.zip"


def test_a_file_arrives_under_its_name_and_leaves_no_part(url, target, part):
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT
    assert not part.exists()


def test_a_line_that_goes_dead_is_asked_for_the_rest_only(site, url, target):
    site.cuts["/file.zip"] = [2_000_000, 1_500_000]
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT
    first, second, third = site.ranges("/file.zip")
    assert first is None
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in (second, third)]
    assert 0 < starts[0] < starts[1] < len(CONTENT)


def test_a_line_cut_more_often_than_we_try_still_arrives_if_each_time_brings_something(
    site, url, target
):
    site.cuts["/file.zip"] = [1_200_000] * (ATTEMPTS - 1)
    site.cuts["/file.zip"] += [400_000] * 2
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT


def test_a_run_that_was_killed_goes_on_where_it_was(site, url, target, part):
    part.write_bytes(CONTENT[:3_000_000])
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT
    assert site.ranges("/file.zip") == ["bytes=3000000-"]


def test_a_server_that_ignores_ranges_is_taken_from_the_start(site, url, target, part):
    site.ignores_range = True
    part.write_bytes(CONTENT[:3_000_000])
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_not_fetched_again(site, url, target, part):
    part.write_bytes(CONTENT)
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT
    assert site.ranges("/file.zip") == [f"bytes={len(CONTENT)}-"]


def test_a_part_longer_than_the_file_is_thrown_away(url, target, part):
    part.write_bytes(CONTENT + b"more")
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT


def test_a_part_of_another_file_costs_a_second_download_and_no_more(site, url, target, part):
    part.write_bytes(b"x" * 1_000_000)
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT
    assert site.ranges("/file.zip") == ["bytes=1000000-", None]


def test_a_server_that_goes_on_elsewhere_is_not_believed(site, url, target, part):
    part.write_bytes(CONTENT[:1_000_000])
    site.misplaced = 7
    fetch(url, target)
    assert target.read_bytes() == CONTENT


def test_a_wrong_checksum_deletes_the_file_and_tells_both(site, url, target, part):
    with pytest.raises(Unavailable) as told:
        fetch(url, target, "0" * 32)
    assert MD5 in str(told.value) and "0" * 32 in str(told.value)
    assert not target.exists() and not part.exists()


@pytest.mark.parametrize("status", [404, 403, 200])
def test_a_web_page_is_never_saved_as_data(site, target, part, status):
    site.answers["/file.zip"] = (status, "text/html; charset=utf-8", b"<html>sorry</html>")
    with pytest.raises(Unavailable, match=str(status) if status != 200 else "web page"):
        fetch(f"{site.address}/file.zip", target)
    assert not target.exists() and not part.exists()


def test_a_page_in_answer_to_a_resumption_leaves_the_part_as_it_was(site, target, part):
    part.write_bytes(CONTENT[:1000])
    with pytest.raises(Unavailable, match="404"):
        fetch(f"{site.address}/file.zip", target)
    assert part.read_bytes() == CONTENT[:1000]


def test_a_busy_server_is_asked_again_but_not_for_ever(site, target):
    site.answers["/file.zip"] = (503, "text/plain", b"busy")
    with pytest.raises(Unavailable, match="503"):
        fetch(f"{site.address}/file.zip", target)
    assert len(site.asked) == ATTEMPTS


@pytest.fixture
def over_tls(tmp_path, site):
    """A server with a certificate of its own, which leads to the plain site; its address and
    the file that makes clients trust it."""
    pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "key.pem").write_bytes(private)
    (tmp_path / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    class Leads(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/stays":
                self.send_response(200)
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"whole")
                return
            self.send_response(302)
            self.send_header("Location", f"{site.address}/file.zip")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Leads)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}", tmp_path / "certificate.pem"
    server.shutdown()
    server.server_close()


def test_a_server_whose_certificate_nobody_vouches_for_is_not_believed(over_tls, target):
    with pytest.raises(Unavailable, match="certificate verify failed"):
        fetch(f"{over_tls[0]}/stays", target)
    assert not target.exists()


def test_a_way_that_leads_from_tls_into_the_clear_is_not_taken(over_tls, url, target, monkeypatch):
    address, certificate = over_tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    fetch(f"{address}/stays", target)
    assert target.read_bytes() == b"whole"
    target.unlink()
    with pytest.raises(Unavailable, match="leads from https to an address without it"):
        fetch(f"{address}/leads", target)
    assert not target.exists()


def test_a_key_is_never_sent_in_the_clear_to_another_machine(target, monkeypatch):
    monkeypatch.setattr("requests.get", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(Unavailable, match="https addresses only"):
        fetch("http://mirror.example/kaggle.zip", target, auth=("someone", "a-secret-key"))


@pytest.mark.parametrize("status", [404, 503])
def test_user_and_password_in_an_address_are_not_told(site, target, status, caplog):
    site.answers["/file.zip"] = (status, "text/plain", b"no")
    url = site.address.replace("://", "://someone:pass-word@") + "/file.zip?token=secret-token"
    with pytest.raises(Unavailable, match=str(status)) as told:
        fetch(url, target)
    for secret in ("someone", "pass-word", "secret-token"):
        assert secret not in str(told.value) + caplog.text
    assert f"{site.address}/file.zip" in str(told.value)


def test_a_server_that_is_not_there_is_told_without_a_traceback_of_addresses(target):
    with pytest.raises(Unavailable, match="ConnectionError"):
        fetch("http://127.0.0.1:9/file.zip?token=secret", target)


def test_a_full_disk_is_told_before_the_download_and_is_not_the_sources_fault(
    url, target, monkeypatch
):
    class Usage:
        free = 1000

    monkeypatch.setattr("scripts.data.web.shutil.disk_usage", lambda _: Usage)
    with pytest.raises(OSError, match="5,120,000 bytes to come, 1,000 free") as told:
        fetch(url, target, MD5)
    assert told.value.errno == errno.ENOSPC
