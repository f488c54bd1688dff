# A machine of its own for the commands of a page: its network, files, accounts and processes. `unshare` starts it, and everything in it
# ends with it. Variables: WORK (a directory with ca.pem, server.pem, server.key, nginx.conf), MAINSTAY and STATIC (the programs), CLIENTS
# (packages of Python and Node.js), FIXTURES (oauth.mjs), SERVICES (what else is running: names of functions below).
set -eu
cd "$WORK"
ip link set lo up
ip address add 10.0.0.5/32 dev lo
mkdir machine
mount -t tmpfs tmpfs machine
cd machine
mkdir bin out home
# Changes to these directories are this machine's alone.
for dir in etc opt srv var root; do
    mkdir "over-$dir" "work-$dir"
    mount -t overlay overlay -o "lowerdir=/$dir,upperdir=$PWD/over-$dir,workdir=$PWD/work-$dir" "/$dir"
done
# Its users have other ids than those that tests beside it make: a user whose id a process has cannot be removed.
printf 'SYS_UID_MIN 200\nSYS_UID_MAX 499\n' >> /etc/login.defs
# What somebody has tried out on the machine below is not on this one.
rm -rf /var/lib/mainstay
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/secrets
touch bin/mainstay bin/mainstay-static
mount --bind "$MAINSTAY" bin/mainstay
mount --bind "$STATIC" bin/mainstay-static
export PATH="$PWD/bin:$PATH" HOME="$PWD/home" SHELL=/bin/sh
unset MAINSTAY_DIR
echo '127.0.0.1 chat.example.com db.example.com smtp.example.com git.example.com registry.example.com' >> /etc/hosts
cat "$WORK/ca.pem" >> /etc/ssl/certs/ca-certificates.crt

# Waits for a port of this machine.
listening() {
    for _ in $(seq 600); do
        if grep -q ":$(printf %04X "$1") .* 0A " /proc/net/tcp; then return; fi
        sleep 0.05
    done
    echo "nothing listens on port $1"
    exit 90
}

# What a page calls the load balancer, with the lines of the page; in front of the GitLab and the registry too.
balancer() {
    nginx -p "$PWD" -c "$WORK/nginx.conf" > out/nginx 2>&1 &
    listening 443
}

mailserver() {
    "$CLIENTS/python/bin/python" "$FIXTURES/../../../testbed/src/smtp.py" "{\"port\": 587, \"tls\": \"starttls\", \"certificate\": \"$WORK/server.pem\",
        \"key\": \"$WORK/server.key\", \"user\": \"chat@example.com\", \"password\": \"...\"}" > out/mail 2>&1 &
    listening 587
}

gitlab() {
    node "$FIXTURES/oauth.mjs" "$CLIENTS/node/node_modules/oauth2-mock-server/dist/index.mjs" '{"port": 9000, "id": "...", "secret": "...",
        "redirect_uri": "https://chat.example.com/signup/gitlab/complete", "scope": "read_user"}' > out/gitlab 2>&1 &
    listening 9000
}

registry() {
    printf 'version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: %s/images\nhttp:\n  addr: 127.0.0.1:5000\n' "$PWD" > registry.yml
    docker-registry serve registry.yml > out/registry 2>&1 &
    listening 5000
}

# Its administrator's password is PASSWORD, and so is the one of the user that the page names.
postgres() {
    programs=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
    echo PASSWORD > /run/secrets/db
    mkdir -m 700 cluster
    mkdir -p /run/postgresql
    chown postgres cluster /run/postgresql
    as="setpriv --reuid postgres --regid postgres --clear-groups"
    $as "$programs/initdb" -D cluster -U postgres -E UTF8 --no-sync --auth-local=trust --auth-host=scram-sha-256 \
        --pwfile=/run/secrets/db > out/postgres 2>&1
    $as "$programs/postgres" -D cluster -k /run/postgresql -c fsync=off >> out/postgres 2>&1 &
    listening 5432
    until psql -U postgres -c 'select 1' > out/ready 2>&1; do sleep 0.05; done
}

# An emulator of AWS, credentials for it, and the bundle of an app whose function answers as it should.
aws() {
    MOTO_IAM_LOAD_MANAGED_POLICIES=true "$CLIENTS/python/bin/moto_server" -H 127.0.0.1 -p 4566 > out/aws 2>&1 &
    listening 4566
    export AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_REGION=eu-central-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
    "$CLIENTS/python/bin/python" - << 'END'
import io, json, urllib.request, zipfile

def put(archive, name, text, mode=0o644):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (0o100000 | mode) << 16
    archive.writestr(entry, text)

code = io.BytesIO()
with zipfile.ZipFile(code, "w") as archive:
    put(archive, "bootstrap", "#!/bin/sh\n", 0o755)
function = {"path": "/", "name": "main", "handler": "bootstrap", "runtime": "provided.al2023"}
manifest = {"app_id": "com.example.hello", "version": "1.0.0", "display_name": "Hello", "homepage_url": "https://example.com",
            "aws_lambda": {"functions": [function]}}
with zipfile.ZipFile("hello.zip", "w") as archive:
    put(archive, "manifest.json", json.dumps(manifest))
    put(archive, "main.zip", code.getvalue())
    put(archive, "static/hello.txt", "hello")

def post(path, body):
    urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:4566/moto-api/" + path, json.dumps(body).encode())).read()

pong = json.dumps({"statusCode": 200, "body": json.dumps({"type": "ok", "text": "PONG"})})
post("config", {"lambda": {"use_docker": False}})
post("static/lambda-simple/response", {"results": [pong] * 50, "region": "eu-central-1"})
END
}

# An administrator's token, in the file that a page names.
token() {
    "$CLIENTS/python/bin/python" - > token.txt << 'END'
import json, tomllib, urllib.request
secrets = tomllib.load(open("/var/lib/mainstay/secrets.toml", "rb"))
login = json.dumps({"login_id": secrets["admin_name"], "password": secrets["admin_password"]}).encode()
asked = urllib.request.Request("http://10.0.0.5:8065/api/v4/users/login", login, {"Content-Type": "application/json"})
print(urllib.request.urlopen(asked).headers["Token"])
END
}

# A post with a picture in Town Square.
picture() {
    "$CLIENTS/python/bin/python" - << 'END'
import json, tomllib, urllib.request
secrets = tomllib.load(open("/var/lib/mainstay/secrets.toml", "rb"))
token = None
def ask(path, body, kind="application/json"):
    body = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
    answer = urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:8065/api/v4/{path}", body, headers))
    return answer.headers, json.load(answer)
token = ask("users/login", {"login_id": secrets["admin_name"], "password": secrets["admin_password"]})[0]["Token"]
team = ask("teams", {"name": "plans", "display_name": "Plans", "type": "O"})[1]["id"]
channel = ask(f"teams/{team}/channels/name/town-square", None)[1]["id"]
file = ask(f"files?channel_id={channel}&filename=plan.png", b"a plan of the house", "image/png")[1]["file_infos"][0]["id"]
ask("posts", {"channel_id": channel, "message": "the plan", "file_ids": [file]})
END
}

# What is typed on the terminals. It stays open: `script` waits two seconds at the end of its input.
mkfifo keys
exec 3<> keys

# Runs a command of the page, which must end with 0: its number, how (see below), what is typed at its questions, the command.
failed=0
command() {
    code=0
    began=$(date +%s%3N)
    case $2 in
        # In this shell: it may set variables.
        here) eval "$4" > "out/$1" 2>&1 < /dev/null || code=$? ;;
        # On a terminal.
        terminal)
            printf '%b' "$3" >&3
            script --quiet --return --command "$4" "out/$1" <&3 > /dev/null || code=$?
            ;;
        # It does not end by itself: Ctrl-C ends it.
        interrupted) timeout --preserve-status --signal=INT 3 $4 > "out/$1" 2>&1 < /dev/null || code=$? ;;
    esac
    echo "$code $(($(date +%s%3N) - began)) ms  $4"
    if [ "$code" != 0 ]; then
        failed=1
        echo "  ^ must end with 0. It printed:"
        sed 's/^/  | /' "out/$1"
    fi
}

# The deployment is up, as a reader's is who comes to this line of the page.
up() {
    mainstay status --check > out/status 2>&1 || mainstay up > out/up 2>&1 || { echo "up failed"; cat out/up; exit 91; }
}

# Puts a block of the page into mainstay.toml, in the place of an earlier block.
toml() {
    file=/var/lib/mainstay/mainstay.toml
    [ -e before.toml ] || cp "$file" before.toml
    cat before.toml "$1" > "$file"
}

for service in $SERVICES; do $service; done
