"""mattermostdriver against the built-in server: log in, team, channel, post, thread, file, events."""
import asyncio
import json
import os
import sys
import threading

from mattermostdriver import Driver

def driver():
    return Driver({
        "url": os.environ["MM_HOST"], "port": int(os.environ["MM_PORT"]), "scheme": "http", "verify": False,
        "login_id": os.environ["MM_LOGIN"], "password": os.environ["MM_PASSWORD"], "timeout": 10,
    })

mm = driver()
me = mm.login()
assert me["username"] == os.environ["MM_LOGIN"], me
team = mm.teams.create_team({"name": "driver-team", "display_name": "Driver", "type": "O"})
channel = mm.channels.get_channel_by_name(team["id"], "town-square")

heard, connected = [], threading.Event()
done = threading.Event()

async def on_event(message):
    event = json.loads(message)
    heard.append(event)
    if event.get("event") == "hello":
        connected.set()
    if event.get("event") == "posted":
        done.set()

def listen():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    listener = driver()
    listener.login()
    listener.init_websocket(on_event)

threading.Thread(target=listen, daemon=True).start()
assert connected.wait(15), "no hello"
post = mm.posts.create_post({"channel_id": channel["id"], "message": "from Python: ü 😀"})
assert done.wait(15), f"no posted event in {[event.get('event') for event in heard]}"
posted = next(event for event in heard if event.get("event") == "posted")
assert json.loads(posted["data"]["post"])["id"] == post["id"]

upload = mm.files.upload_file(channel["id"], {"files": ("note.txt", b"bytes")})["file_infos"][0]
reply = mm.posts.create_post({"channel_id": channel["id"], "message": "reply", "root_id": post["id"], "file_ids": [upload["id"]]})
thread = mm.posts.get_thread(post["id"])
assert set(thread["order"]) == {post["id"], reply["id"]}, thread["order"]
assert mm.files.get_file(upload["id"]).content == b"bytes"
assert mm.posts.delete_post(reply["id"])["status"] == "OK"
assert mm.users.get_user_by_username(os.environ["MM_LOGIN"])["id"] == me["id"]
mm.logout()
print("ok")
sys.stdout.flush()
os._exit(0)
