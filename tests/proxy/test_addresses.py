"""Addresses: what an upstream may be called at, when it is saved and at connect."""

import pytest

from proxy.addresses import BadAddress, allowed_hosts, clean_address


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        (" https://api.openai.com/v1/ ", "https://api.openai.com/v1"),
        ("HTTP://localhost:11434/v1", "http://localhost:11434/v1"),
        ("http://10.0.0.7:8000", "http://10.0.0.7:8000"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("https://my_host.internal", "https://my_host.internal"),
    ],
)
def test_it_works(given, kept):
    assert clean_address(given) == kept


@pytest.mark.parametrize(
    "address",
    [
        "",
        "  ",
        None,
        7,
        "api.openai.com/v1",
        "//api.openai.com",
        "ftp://api.openai.com",
        "file:///etc/passwd",
        "https://",
        "https:///v1",
        "https://host:port",
        "https://host:99999",
        "https://[::1",
        "https://user@host/v1",
        "https://user:secret@host/v1",
        "https://@host/v1",
        "https://host/v1?key=1",
        "https://host/v1?",
        "https://host/v1#part",
        "https://host/v1#",
        "https://host/a/../b",
        "https://host/v1\\evil",
        "https://ho st/v1",
        "https://host/v\n1",
        "https://hösť/v1",
        "https://-host/v1",
        "https://host..com/v1",
        "https://" + "a" * 64 + ".com",
        "https://host/" + "a" * 500,
    ],
)
def test_it_refuses_what_is_no_plain_url(address):
    with pytest.raises(BadAddress):
        clean_address(address)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.0.1",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[::a9fe:a9fe]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "0.1.2.3",
        "[::]",
        "255.255.255.255",
        "224.0.0.1",
        "[ff02::1]",
        "metadata.google.internal",
        "METADATA.google.internal.",
        "metadata",
        # other spellings of 169.254.169.254 and 127.0.0.1
        "0251.0376.0251.0376",
        "0xa9fea9fe",
        "0xA9.0xFE.0xA9.0xFE",
        "2852039166",
        "169.254.43518",
        "0177.0.0.1",
        "127.1",
        "2130706433",
    ],
)
def test_it_refuses_link_local_and_metadata_addresses_always(settings, host):
    settings.PRIVATE_UPSTREAMS = True

    with pytest.raises(BadAddress):
        clean_address(f"http://{host}/latest")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "100.64.0.1",
        "[::1]",
        "[fd12::1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::a00:1]",
        "localhost",
        "api.localhost",
    ],
)
def test_it_refuses_private_addresses_when_told(settings, host):
    settings.PRIVATE_UPSTREAMS = True
    clean_address(f"http://{host}")

    settings.PRIVATE_UPSTREAMS = False

    with pytest.raises(BadAddress, match="PRIVATE_UPSTREAMS"):
        clean_address(f"http://{host}")


def test_it_allows_public_addresses_when_private_ones_are_refused(settings):
    settings.PRIVATE_UPSTREAMS = False

    assert clean_address("https://8.8.8.8/v1") == "https://8.8.8.8/v1"
    assert allowed_hosts(["8.8.8.8", "2001:4860:4860::8888"]) == (
        "8.8.8.8",
        "2001:4860:4860::8888",
    )


@pytest.mark.parametrize("resolved", [[], ["8.8.8.8", "169.254.169.254"], ["fe80::1%eth0"]])
def test_it_refuses_at_connect_what_a_name_resolved_to(resolved):
    with pytest.raises(BadAddress):
        allowed_hosts(resolved)


def test_it_refuses_at_connect_a_name_that_turned_to_loopback(settings):
    settings.PRIVATE_UPSTREAMS = False

    with pytest.raises(BadAddress):
        allowed_hosts(["127.0.0.1"])
