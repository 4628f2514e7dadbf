#!/usr/bin/env python3
"""Asterisk asks Tollgate about calls and tells what becomes of them.

As an AGI script, with one argument: admit, answer or end. As a program of its own:
"tollgate.py grants" renews the grants of the running calls and has Asterisk end
them with their grants; "tollgate.py restarted" tells that Asterisk was started.
README.md says how they go together. Python 3.9, nothing but its standard library.
"""
import calendar
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

URL = os.environ.get("TOLLGATE_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("TOLLGATE_KEY", "")
SWITCH = os.environ.get("TOLLGATE_SWITCH", "asterisk-1")
CONNECTION = os.environ.get("TOLLGATE_CONNECTION", "")
AMI = os.environ.get("AMI_ADDRESS", "127.0.0.1:5038")
AMI_USER = os.environ.get("AMI_USER", "tollgate")
AMI_SECRET = os.environ.get("AMI_SECRET", "")
RENEW_EVERY = 12  # seconds, of the 30 of a grant
MOST = 1000  # events of one batch


def post(path, body, timeout=3):
    """Return (status, answer); status 0 when nobody answered."""
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), {
        "Authorization": "Bearer " + KEY, "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as err:
        return err.code, {}
    except (OSError, ValueError):
        return 0, {}


def path_of(call, event):
    return "/tollgate/v1/admissions/" + urllib.parse.quote(call, safe="") + "/" + event


class AGI:
    """The channel on whose behalf the script runs."""

    def __init__(self):
        self.env = {}
        for line in sys.stdin:
            if not line.strip():
                break
            name, _, value = line.strip().partition(":")
            self.env[name] = value.strip()

    def do(self, command):
        print(command, flush=True)
        return sys.stdin.readline().strip()

    def set(self, name, value):
        text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        self.do('SET VARIABLE %s "%s"' % (name, text))

    def get(self, name):
        answer = self.do("GET FULL VARIABLE ${%s}" % name)
        begin = answer.find("(")
        return answer[begin + 1:-1] if begin >= 0 else ""


def admit(agi):
    # The unique id is Asterisk's own: no caller can give its call that of another one. The
    # random text proves that a repeated question is the same one.
    call = agi.env.get("agi_uniqueid", "")
    admission = {"connection_id": CONNECTION, "call_id": SWITCH + ":" + call, "request_id": uuid.uuid4().hex,
                 "from": agi.env.get("agi_callerid", ""), "to": agi.env.get("agi_extension", ""), "switch": SWITCH}
    if admission["from"] == "unknown":
        admission["from"] = ""
    status, answer = post("/tollgate/v1/admissions", admission)
    if status == 0:  # the answer may have been lost
        status, answer = post("/tollgate/v1/admissions", admission)
    data = answer.get("data", {})
    agi.set("TOLLGATE_CALL", admission["call_id"])
    # In hexadecimal, since quotes do not survive a dialplan.
    agi.set("TOLLGATE_ADMISSION", json.dumps(admission).encode().hex())
    # Only an emergency call may go without a grant.
    if status != 200 or data["decision"] == "allow" and data["grant_secs"] is None and not data["emergency"]:
        agi.set("TOLLGATE", "unavailable")
        return
    agi.set("TOLLGATE", data["decision"])
    agi.set("TOLLGATE_SIP_CODE", data["sip_code"] or 0)
    agi.set("TOLLGATE_REASON", data["reason"] or "")
    agi.set("TOLLGATE_ROUTES", len(data["routes"]))
    for n, route in enumerate(data["routes"], 1):
        agi.set("TOLLGATE_NUMBER_%d" % n, route["number"])
        agi.set("TOLLGATE_ADDRESS_%d" % n, route["address"])
    # The longest that the call may last before its grant was renewed.
    agi.set("TOLLGATE_GRANT", data["grant_secs"] or 43200)


def event_body(agi):
    return {"admission": json.loads(bytes.fromhex(agi.get("TOLLGATE_ADMISSION")))}


def answer(agi):
    post(path_of(agi.get("TOLLGATE_CALL"), "answer"), event_body(agi))


def end(agi):
    call, body = agi.get("TOLLGATE_CALL"), event_body(agi)
    secs = agi.get("ANSWEREDTIME")
    body["answered"] = agi.get("DIALSTATUS") == "ANSWER"
    body["duration_secs"] = int(secs) if secs.isdigit() else 0
    cause = {"16": "normal_clearing", "17": "user_busy", "19": "no_answer", "21": "call_rejected", "1": "unallocated_number"}
    body["hangup_cause"] = cause.get(agi.get("HANGUPCAUSE"), "unspecified")
    for _ in range(60):  # five minutes; Tollgate charges the call at its grant at worst
        if post(path_of(call, "end"), body)[0] not in (0, 429, 500, 503):
            return
        time.sleep(5)


def ami_reader(connection):
    """Yield the messages of the manager interface as dicts."""
    message = {}
    for line in connection.makefile("r", encoding="utf-8", errors="replace"):
        line = line.rstrip("\r\n")
        if not line:
            if message:
                yield message
            message = {}
            continue
        name, found, value = line.partition(": ")
        if not found:
            continue
        if name == "Variable":
            variable, _, text = value.partition("=")
            message[variable] = text
        else:
            message[name] = value


def ami_send(connection, action, **fields):
    lines = ["Action: " + action] + ["%s: %s" % pair for pair in fields.items()]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())


def grants():
    host, port = AMI.rsplit(":", 1)
    with socket.create_connection((host, int(port))) as connection:
        messages = ami_reader(connection)
        ami_send(connection, "Login", Username=AMI_USER, Secret=AMI_SECRET, Events="off")
        while True:
            running = {}
            ami_send(connection, "Status", Variables="TOLLGATE_CALL,TOLLGATE_LEG")
            for message in messages:
                if message.get("Event") == "StatusComplete":
                    break
                # The caller's leg alone, once it is answered ("Up").
                if message.get("Event") == "Status" and message.get("TOLLGATE_LEG") == "caller" and message.get("ChannelStateDesc") == "Up":
                    running[message["TOLLGATE_CALL"]] = message["Channel"]
            calls = list(running)
            for first in range(0, len(calls), MOST):
                part = calls[first:first + MOST]
                _, answered = post("/tollgate/v1/admissions/batch", {"events": [{"event": "renew", "id": call} for call in part]}, 10)
                for call, result in zip(part, answered.get("data", [])):
                    state = result.get("state") or {}
                    if state.get("status") == "ended":
                        ami_send(connection, "Hangup", Channel=running[call])
                    elif state.get("expires_at") and state.get("status") == "answered":
                        due = time.strptime(state["expires_at"][:19], "%Y-%m-%dT%H:%M:%S")
                        left = max(1, int(calendar.timegm(due) - time.time()))
                        ami_send(connection, "AbsoluteTimeout", Channel=running[call], Timeout=left)
            time.sleep(RENEW_EVERY)




def restarted():
    while post("/tollgate/v1/switches/" + urllib.parse.quote(SWITCH, safe="") + "/restarted", {})[0] != 200:
        time.sleep(1)


if __name__ == "__main__":
    mode = sys.argv[1] if len(sys.argv) > 1 else "admit"
    if mode == "grants":
        grants()
    elif mode == "restarted":
        restarted()
    else:
        {"admit": admit, "answer": answer, "end": end}[mode](AGI())
