"""What `jackdaw s2s check` says of a link."""

import re

from talk import Lost

STARTTLS, DIRECT = "by STARTTLS", "from the first byte"
STEPS = ("policy", "dns", "tcp", "stream", "tls", "certificate", "features",
         "authentication", "ping")
# What DNS says; of a certificate its names and dates.
RECORD = (r"dns +ok +_xmpps?-server\._tcp\.{domain}: .+, port \d+, "
          r"priority \d+, weight \d+; ")
SHOWN = (r"certificate +ok +one is presented, for {domain}; issued by .+; "
         r"valid from \d{{4}}-\d\d-\d\d to \d{{4}}-\d\d-\d\d\n")


def checkup(server, host, domain):
    """What `jackdaw s2s check` says, and whether it says that all is well."""
    done = server.ask("s2s", "check", domain, "--from", host)
    if done.returncode not in (0, 1) or done.stderr:
        raise Lost(f"s2s check ended with {done.returncode}: {done.stderr}")
    return done.returncode == 0, done.stdout


def failures(text):
    return [line for line in text.splitlines() if " FAILED " in line]


def checkup_fails(server, host, domain, *words):
    """It names the step where that happens, and says why and what to do."""
    is_well, text = checkup(server, host, domain)
    if is_well or not all(word in text for word in words) or \
            not any(words[0] in line for line in failures(text)):
        raise Lost(f"s2s check does not say {words}:\n{text}")


def checkup_is_well(server, host, domain, *words):
    """All steps, and these words."""
    is_well, text = checkup(server, host, domain)
    # ejabberd offers EXTERNAL to everybody.
    if not is_well or not all("so dialback is tried" in line
                              for line in failures(text)):
        raise Lost(f"s2s check is not content:\n{text}")
    for step in STEPS:
        # Direct TLS comes before the stream.
        if step == "stream" and DIRECT in text:
            continue
        if f"\n  {step} " not in text:
            raise Lost(f"s2s check does not speak of {step}:\n{text}")
    missing = [word for word in words if word not in text] + [
        each for each in (RECORD, SHOWN)
        if not re.search(each.format(domain=re.escape(domain)), text)]
    if missing:
        raise Lost(f"s2s check does not say {missing}:\n{text}")
