#!/usr/bin/env python3
"""Asterisk asks Tollgate about calls and reports how they went.

As an AGI script, with one argument: admit, answer or end. As a program of its own: "tollgate.py grants" renews the
grants of the running calls and moves their ends; "tollgate.py restarted" reports that Asterisk was started. README.md
says how they go together. Python 3.9, nothing but its standard library.
"""
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
RENEW_EVERY = float(os.environ.get("TOLLGATE_RENEW_EVERY", "12"))  # seconds, of the 30 of a grant
MOST = 1000  # events of one batch
WITHOUT_LIMIT = 43200  # seconds that a call may last which Tollgate does not limit

# Causes of Q.850 for callers that are not on PJSIP, by the status that Tollgate chose.
CAUSES = {404: 1, 480: 18, 484: 28, 486: 17, 503: 38}
# Words of Tollgate by the causes of Q.850 and by how Dial ended.
HANGUP_CAUSES = {"1": "unallocated_number", "16": "normal_clearing", "17": "user_busy", "18": "no_user_response",
                 "19": "no_answer", "20": "subscriber_absent", "21": "call_rejected", "22": "number_changed",
                 "27": "destination_out_of_order", "28": "invalid_number_format", "34": "normal_circuit_congestion",
                 "38": "network_out_of_order", "41": "normal_temporary_failure", "42": "switch_congestion",
                 "58": "bearercapability_notavail", "88": "incompatible_destination",
                 "102": "recovery_on_timer_expire"}
DIAL_STATUSES = {"BUSY": "user_busy", "NOANSWER": "no_answer", "CANCEL": "originator_cancel"}


def post(path, body, timeout=3):
    """Return (status, answer); status 0 if no answer came."""
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), {
        "Authorization": "Bearer " + KEY, "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as err:
        return err.code, {}
    except (OSError, ValueError):
        return 0, {}


def report(call, event, body):
    """Report an event in a process of its own: no channel waits for Tollgate, and nothing is lost while it is away."""
    if os.fork() > 0:
        return
    os.setsid()  # Asterisk tells the script, and its group, when the channel is gone
    null = os.open(os.devnull, os.O_RDWR)
    for stream in 0, 1, 2:
        os.dup2(null, stream)
    path = "/tollgate/v1/admissions/" + urllib.parse.quote(call, safe="") + "/" + event
    for _ in range(60):  # five minutes; a call without a reported end is charged to the end of its grant
        if post(path, body)[0] not in (0, 429, 500, 502, 503, 504):
            break
        time.sleep(5)
    os._exit(0)


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

    def get(self, expression):
        answer = self.do("GET FULL VARIABLE ${%s}" % expression)
        begin = answer.find("(")
        return answer[begin + 1:-1] if begin >= 0 else ""


def admit(agi):
    # The unique id is Asterisk's own: no caller can give its call that of another one. The random text proves that a
    # repeated question is the same one.
    caller = agi.env.get("agi_callerid", "")
    admission = {"connection_id": CONNECTION, "call_id": SWITCH + ":" + agi.env.get("agi_uniqueid", ""),
                 "request_id": uuid.uuid4().hex, "from": "" if caller == "unknown" else caller,
                 "to": agi.env.get("agi_extension", ""), "switch": SWITCH}
    status, answer = post("/tollgate/v1/admissions", admission)
    if status == 0:  # the answer may have been lost
        status, answer = post("/tollgate/v1/admissions", admission)
    data = answer.get("data", {})
    decision = data.get("decision", "unavailable")
    # Only an emergency call may go without a grant.
    if status != 200 or decision == "allow" and data["grant_secs"] is None and not data["emergency"]:
        decision = "unavailable"
    code = data["sip_code"] if decision == "deny" else 503
    agi.set("TOLLGATE", decision)
    agi.set("TOLLGATE_SIP_CODE", code)
    agi.set("TOLLGATE_CAUSE", CAUSES.get(code, 21))
    agi.set("TOLLGATE_REASON", data.get("reason") or decision)
    if decision != "allow":
        return
    # Two underscores: the leg that is called inherits it.
    agi.set("__TOLLGATE_CALL", admission["call_id"])
    # In hexadecimal, since quotes do not survive a dialplan.
    agi.set("__TOLLGATE_ADMISSION", json.dumps(admission).encode().hex())
    agi.set("TOLLGATE_CALLER_ID", data["caller_id"] or "")
    agi.set("TOLLGATE_ROUTES", len(data["routes"]))
    for n, route in enumerate(data["routes"], 1):
        agi.set("TOLLGATE_NUMBER_%d" % n, route["number"])
        agi.set("TOLLGATE_ADDRESS_%d" % n, route["address"])
        agi.set("__TOLLGATE_GATEWAY_%d" % n, route["gateway_id"])
    agi.set("__TOLLGATE_GRANT", data["grant_secs"] or WITHOUT_LIMIT)


def answer(agi):
    report(agi.get("TOLLGATE_CALL"), "answer", {
        "admission": admission_of(agi), "answered_at": now(),
        "gateway_id": agi.get("TOLLGATE_GATEWAY_" + agi.get("TOLLGATE_ROUTE"))})


def end(agi):
    dialled = agi.get("DIALSTATUS")
    answered = dialled == "ANSWER"
    word = DIAL_STATUSES.get(dialled) or HANGUP_CAUSES.get(agi.get("HANGUPCAUSE"), "unspecified")
    report(agi.get("TOLLGATE_CALL"), "end", {
        "admission": admission_of(agi), "ended_at": now(), "answered": answered,
        "duration_secs": int(answered and agi.get("ANSWEREDTIME_MS") or 0) / 1000,
        "hangup_cause": "normal_clearing" if answered else word})


def admission_of(agi):
    return json.loads(bytes.fromhex(agi.get("TOLLGATE_ADMISSION")))


def now():
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".%03dZ" % (seconds % 1 * 1000)


class Manager:
    """Asterisk's manager interface."""

    def __init__(self):
        host, port = AMI.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 10)
        self.messages = self.read()
        self.send("Login", Username=AMI_USER, Secret=AMI_SECRET, Events="off")
        for message in self.messages:
            if message.get("Response") == "Error":
                sys.exit("Asterisk's manager interface refused the login: " + message.get("Message", ""))
            if message.get("Response") == "Success":
                return
        raise ConnectionError("Asterisk closed the connection")

    def read(self):
        """Yield the messages as dicts; a variable of a channel is a key of its own."""
        message = {}
        for line in self.socket.makefile("r", encoding="utf-8", errors="replace"):
            name, found, value = line.rstrip("\r\n").partition(": ")
            if name == "" and message:
                yield message
                message = {}
            elif name == "Variable":
                name, _, value = value.partition("=")
                message[name] = value
            elif found:
                message[name] = value

    def send(self, action, **fields):
        lines = ["Action: " + action] + ["%s: %s" % pair for pair in fields.items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def running(self):
        """Return the answered calls: {call: (the channel that was called, when it answered)}."""
        calls = {}
        self.send("Status", Variables="TOLLGATE_CALL,TOLLGATE_ANSWERED")
        for message in self.messages:
            if message.get("Event") == "StatusComplete":
                return calls
            if message.get("TOLLGATE_ANSWERED", "").isdigit():  # "(null)" where it is not set
                calls[message["TOLLGATE_CALL"]] = message["Channel"], int(message["TOLLGATE_ANSWERED"])
        raise ConnectionError("Asterisk closed the connection")


def renew(manager):
    calls = manager.running()
    names = list(calls)
    for first in range(0, len(names), MOST):
        part = names[first:first + MOST]
        _, answered = post("/tollgate/v1/admissions/batch", {"events": [
            {"event": "renew", "id": call, "duration_secs": max(0, round(time.time() - calls[call][1], 3))}
            for call in part]}, 10)
        for call, result in zip(part, answered.get("data", [])):
            channel, since = calls[call]
            state = result.get("state") or {}
            if state.get("status") == "ended":
                manager.send("Hangup", Channel=channel)
            elif state.get("grant_secs") is not None:
                left = since + state["grant_secs"] - time.time()
                manager.send("AbsoluteTimeout", Channel=channel, Timeout=max(1, int(left)))


def grants():
    while True:
        try:
            manager = Manager()
            while True:
                renew(manager)
                time.sleep(RENEW_EVERY)
        except OSError as err:  # Asterisk is restarting, say
            print("tollgate.py: %s; trying again" % err, file=sys.stderr, flush=True)
            time.sleep(1)


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
