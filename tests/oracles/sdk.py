#!/usr/bin/env python3
"""Compares ours with the vendor's official Python SDK, which is the oracle.

    sdk.py signing [--cases N] [--seed N]   random requests and tickets, signed by the SDK, recomputed by `cargo test`
    sdk.py sandbox [--binary PATH]          the SDK's own client against `ingestd sandbox`

It makes itself a virtual environment under target/oracles with the packages below. What it refuses to know: the network
beyond the package index; nothing here calls the vendor.
"""

import argparse
import base64
import json
import os
import random
import socket
import string
import struct
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / "target" / "oracles" / "sdk"
PACKAGES = ["tencentcloud-sdk-python-trtc==3.1.177", "tencentcloud-sdk-python-common==3.1.195", "tls-sig-api-v2==1.1"]
PYTHON = ENVIRONMENT / "bin" / "python"

# The sandbox's well-known credentials (src/sandbox/mod.rs); worth nothing elsewhere.
SECRET_ID = "AKIDsandbox00000000000000000000000000"
SECRET_KEY = "sandbox-secret-key-0000000000000"
SDK_APP_ID = 1_400_000_001
APP_KEY = "5a4db0c5a4db0c5a4db0c5a4db0c5a4db0c5a4db0c5a4db0c5a4db0c5a4db0c5"


def run_inside_environment():
    """Runs this script again with the packages at hand, installing them when they are not there."""
    if Path(sys.prefix).resolve() == ENVIRONMENT.resolve():
        return
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    stamp = ENVIRONMENT / "packages"
    if not stamp.exists() or stamp.read_text() != "\n".join(PACKAGES):
        subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES], check=True)
        stamp.write_text("\n".join(PACKAGES))
    os.execv(PYTHON, [str(PYTHON), *sys.argv])


# Random cases


def text(chance, alphabet, shortest, longest):
    return "".join(chance.choice(alphabet) for _ in range(chance.randint(shortest, longest)))


WORD = string.ascii_letters + string.digits + "_-"
# What a room, a URL or a message may hold besides: other scripts, what JSON escapes, what needs a surrogate pair.
ANYTHING = WORD + " +/=&?%\"\\<>'" + "直播间é\u2028😀"


def request_case(chance):
    """A request of ours as the SDK signs it, at a random second of a century."""
    from tencentcloud.common import credential
    from tencentcloud.common.http.request import RequestInternal
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile
    from tencentcloud.trtc.v20190722 import trtc_client

    secret_id, secret_key = text(chance, WORD, 1, 40), text(chance, WORD, 1, 40)
    host = chance.choice(["trtc.tencentcloudapi.com", "trtc.intl.tencentcloudapi.com", "127.0.0.1:9080", "[::1]:9080"])
    second = chance.choice([chance.randint(0, 4_000_000_000), 86_400 * chance.randint(0, 40_000) - chance.randint(0, 1) + 1])
    action, params = chance.choice(
        [
            ("StartStreamIngest", {"RoomId": text(chance, ANYTHING, 1, 64), "StreamUrl": text(chance, ANYTHING, 0, 2000)}),
            ("StopStreamIngest", {"TaskId": text(chance, ANYTHING, 0, 200)}),
            ("DescribeStreamIngest", {"SdkAppId": chance.randint(0, 2**64 - 1), "Tempo": chance.random()}),
        ]
    )
    profile = ClientProfile(httpProfile=HttpProfile(endpoint=host))
    # A token is sent and not signed: with one or without, ours must come out the same.
    token = chance.choice([None, text(chance, WORD, 1, 100)])
    client = trtc_client.TrtcClient(credential.Credential(secret_id, secret_key, token), "ap-singapore", profile)
    request = RequestInternal(host, "POST", "/", {})
    with mock.patch("time.time", return_value=second + chance.random() * 0.999):
        client._build_req_inter(action, params, request)
    assert request.header["X-TC-Timestamp"] == str(second), request.header
    return {
        "secret_id": secret_id,
        "secret_key": secret_key,
        "host": request.header["Host"],
        "content_type": request.header["Content-Type"],
        "second": second,
        "body": request.data,
        "authorization": request.header["Authorization"],
    }


def user_buffer(user_id, sdk_app_id, expires_at, room, is_string, privileges):
    """The binary part of a PrivateMapKey, written down a second time: the package on the index cannot make one."""
    account, name = user_id.encode(), room.encode()
    packed = struct.pack(">BH", 1 if is_string else 0, len(account)) + account
    packed += struct.pack(">5I", sdk_app_id, 0 if is_string else int(room), expires_at, privileges, 0)
    return packed + (struct.pack(">H", len(name)) + name if is_string else b"")


def ticket_case(chance):
    """A UserSig or a PrivateMapKey as the vendor's package mints it."""
    from TLSSigAPIv2 import TLSSigAPIv2

    sdk_app_id, key = chance.randint(1, 2**32 - 1), text(chance, "0123456789abcdef", 64, 64)
    user_id = text(chance, WORD, 1, 32)
    second, valid_s = chance.randint(0, 2_000_000_000), chance.choice([1, 7200, 180 * 86400, chance.randint(1, 10**9)])
    api, room, buffer = TLSSigAPIv2(sdk_app_id, key), None, None
    with mock.patch("time.time", return_value=second + chance.random() * 0.999):
        if chance.random() < 0.5:
            ticket = api.gen_sig(user_id, valid_s)
        else:
            is_string, privileges = chance.random() < 0.5, chance.choice([23, 255, chance.randint(0, 2**32 - 1)])
            name = text(chance, WORD, 1, 64) if is_string else str(chance.choice([1, 2**32 - 1, chance.randint(1, 2**32 - 1)]))
            room = {"id": name, "string": is_string, "privileges": privileges}
            packed = user_buffer(user_id, sdk_app_id, second + valid_s, name, is_string, privileges)
            buffer = base64.b64encode(packed).decode()
            ticket = api.gen_sig_with_userbuf(user_id, valid_s, packed)
    return {
        "sdk_app_id": sdk_app_id,
        "key": key,
        "user_id": user_id,
        "second": second,
        "valid_s": valid_s,
        "room": room,
        "user_buffer": buffer,
        "ticket": ticket,
    }


def signing(arguments):
    chance = random.Random(arguments.seed)
    print(f"seed {arguments.seed}, {arguments.cases} requests, {arguments.cases} tickets", flush=True)
    cases = {
        "requests": [request_case(chance) for _ in range(arguments.cases)],
        "tickets": [ticket_case(chance) for _ in range(arguments.cases)],
    }
    file = ENVIRONMENT / "cases.json"
    file.write_text(json.dumps(cases))
    command = ["cargo", "test", "--quiet", "--test", "signing", "--", "--nocapture", "random_cases_of_the_official_sdk"]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "INGESTD_SDK_CASES": str(file)})


# The SDK's client against the sandbox


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_listening(port, process):
    for _ in range(200):
        if process.poll() is not None:
            sys.exit(f"the sandbox ended with {process.returncode} before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit("the sandbox does not listen")


def drive(port):
    """A life of a task, and the refusals, as a user of the SDK meets them."""
    from TLSSigAPIv2 import TLSSigAPIv2
    from tencentcloud.common import credential
    from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile
    from tencentcloud.trtc.v20190722 import models, trtc_client

    def client(secret_key=SECRET_KEY, secret_id=SECRET_ID):
        profile = ClientProfile(httpProfile=HttpProfile(endpoint=f"127.0.0.1:{port}", protocol="http"))
        return trtc_client.TrtcClient(credential.Credential(secret_id, secret_key), "ap-singapore", profile)

    def start(app_key=APP_KEY, **changes):
        request = models.StartStreamIngestRequest()
        request.SdkAppId, request.RoomId, request.RoomIdType, request.UserId = SDK_APP_ID, "42", 1, "robot"
        request.UserSig = TLSSigAPIv2(SDK_APP_ID, app_key).gen_sig("robot", 3600)
        request.StreamUrl = "https://media.example.com/节目.mp4"
        for name, value in changes.items():
            setattr(request, name, value)
        return request

    def of_task(request, task_id):
        request.SdkAppId, request.TaskId = SDK_APP_ID, task_id
        return request

    def refused(code, call):
        try:
            answer = call()
        except TencentCloudSDKException as error:
            assert error.get_code() == code, f"{error.get_code()} instead of {code}"
            assert error.get_request_id(), "a refusal has a RequestId too"
            print(f"refused with {code}", flush=True)
        else:
            sys.exit(f"not refused with {code}: {answer.to_json_string()}")

    ours = client()
    describe = lambda task: ours.DescribeStreamIngest(of_task(models.DescribeStreamIngestRequest(), task)).Status
    stop = lambda task: ours.StopStreamIngest(of_task(models.StopStreamIngestRequest(), task))

    full = {"RepeatNum": -1, "MaxDuration": 60, "Volume": 80, "Tempo": 1.25, "SeekSecond": 3, "IdleTimeout": 10}
    task = ours.StartStreamIngest(start(AutoPush=False, EnableProgress=True, **full)).TaskId
    assert task and describe(task) == "InProgress", task
    refused("FailedOperation.TaskExist", lambda: ours.StartStreamIngest(start()))
    assert stop(task).RequestId
    assert describe(task) == "NotExist", "a stopped task is gone"
    refused("FailedOperation.TaskFinished", lambda: stop(task))
    print("started, described, stopped", flush=True)

    refused("AuthFailure.SignatureFailure", lambda: client(secret_key="wrong").StartStreamIngest(start()))
    refused("AuthFailure.SecretIdNotFound", lambda: client(secret_id="AKIDwrong").StartStreamIngest(start()))
    refused("InvalidParameter.UserSig", lambda: ours.StartStreamIngest(start(app_key="wrong")))
    refused("InvalidParameter.UserSig", lambda: ours.StartStreamIngest(start(UserSig="eJwrong")))
    refused("MissingParameter.RoomId", lambda: ours.StartStreamIngest(start(RoomId=None)))
    with mock.patch("time.time", return_value=time.time() - 301):
        late = start()
        refused("AuthFailure.SignatureExpire", lambda: client().StartStreamIngest(late))


def sandbox(arguments):
    binary = Path(arguments.binary) if arguments.binary else ROOT / "target" / "debug" / "ingestd"
    if not arguments.binary:
        subprocess.run(["cargo", "build", "--quiet"], check=True, cwd=ROOT)
    port = free_port()
    process = subprocess.Popen([binary, "sandbox", "--listen", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL)
    try:
        wait_until_listening(port, process)
        drive(port)
    finally:
        process.terminate()
        process.wait(timeout=10)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("signing")
    part.add_argument("--cases", type=int, default=1000)
    part.add_argument("--seed", type=int, default=int(time.time()))
    part.set_defaults(run=signing)
    part = parts.add_parser("sandbox")
    part.add_argument("--binary")
    part.set_defaults(run=sandbox)
    arguments = parser.parse_args()
    run_inside_environment()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
