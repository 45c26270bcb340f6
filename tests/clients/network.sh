#!/usr/bin/env bash
# Puts a ledger on a port with TLS, and lets the clients of two ERPs work with it: Python, and Java
# where a JDK and Maven are. Needs the built binary (URBANMINE names another one than the release).
#
#     tests/clients/network.sh python|java
#
# Each client appends, co-signs a settlement, watches, and is turned away with a certificate of
# another authority and with an expired token.
set -euo pipefail
cd "$(dirname "$0")/../.."

which=${1:?python or java}
urbanmine=${URBANMINE:-target/release/urbanmine}
python=${PYTHON:-python3}
export URBANMINE_PASSPHRASE='urbanmine demo'
export PYTHONDONTWRITEBYTECODE=1

folder=$(mktemp -d)
server=
stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap stop EXIT

"$urbanmine" demo --exit --json --dir "$folder/demo" >"$folder/demo.json" </dev/null
field() {
    sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" "$folder/demo.json" | head -n 1
}
origin=$(field origin)
ledger_key=$(field ledger_key)
keys=$(field keys)

base='@party/base-ganzhou'
smelter='@party/copper-smelter'
"$urbanmine" cert dev --dir "$folder/certs" --host localhost 127.0.0.1 --party "$base" "$smelter" \
    >/dev/null
# The same names by an authority that the server does not know.
"$urbanmine" cert dev --dir "$folder/stranger" --host localhost --party "$base" >/dev/null
token=$("$urbanmine" token new --file "$folder/tokens.json" --party "$base" --scopes READ | tail -n 1)
# Its time is over: the file is a text.
sed -i -e 's/"created_at_ms": [0-9]*/"created_at_ms": 1000/' \
    -e 's/"expires_at_ms": [0-9]*/"expires_at_ms": 2000/' "$folder/tokens.json"

"$urbanmine" serve --data "$folder/demo/data" --guard "$(field guard)" \
    --ledger-key "$keys/ledger.pem" --listen 127.0.0.1:0 \
    --tls-cert "$folder/certs/server.pem" --tls-key "$folder/certs/server-key.pem" \
    --client-ca "$folder/certs/ca.pem" --tokens "$folder/tokens.json" \
    >"$folder/serve.out" 2>"$folder/serve.log" </dev/null &
server=$!
for _ in $(seq 300); do
    if [ -s "$folder/serve.out" ]; then break; fi
    if ! kill -0 "$server" 2>/dev/null; then
        cat "$folder/serve.log" >&2
        echo "the server stopped before it served" >&2
        exit 1
    fi
    sleep 0.1
done
address=$(head -n 1 "$folder/serve.out")

export ERP_SERVER="localhost:${address##*:}" ERP_ORIGIN=$origin ERP_LEDGER_KEY=$ledger_key
export ERP_CERTS="$folder/certs" ERP_STRANGER="$folder/stranger" ERP_KEYS=$keys
export ERP_EXPIRED_TOKEN=$token

case $which in
python) "$python" tests/clients/python/network_client.py ;;
java)
    output=${CARGO_TARGET_DIR:-target}/java
    case $output in /*) ;; *) output=$PWD/$output ;; esac
    mvn -q -B -f tests/clients/java/pom.xml -Doutput="$output" -DskipTests package
    java -cp "$output/classes:$output/lib/*" erp.Main
    ;;
*)
    echo "python or java, not $which" >&2
    exit 64
    ;;
esac

# Plain HTTP/1.1 and JSON over the same port, for what speaks no gRPC.
if command -v curl >/dev/null; then
    curl --silent --show-error --fail --http1.1 --cacert "$folder/certs/ca.pem" \
        --cert "$folder/certs/client-$(basename "$folder"/certs/client-*-key.pem | head -n 1 |
            sed 's/^client-//; s/-key.pem$//').pem" \
        --key "$(ls "$folder"/certs/client-*-key.pem | head -n 1)" \
        "https://$ERP_SERVER/v1/checkpoint" | grep -q "$origin"
    echo "curl        HTTP/1.1 over TLS: the checkpoint as JSON"
else
    echo "SKIPPED: curl over HTTP/1.1 (no curl)"
fi

# What they added is in the ledger that everybody can check, offline.
kill "$server"
wait "$server" 2>/dev/null || true
server=
"$urbanmine" verify --data "$folder/demo/data" --origin "$origin" --ledger-key "$ledger_key"
