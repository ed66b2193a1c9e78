# Stands in for Docker: `docker run --rm portcullis` and `docker compose` with what compose.yaml
# says, on this machine's loopback.
docker() {
    case "$*" in
    "run --rm portcullis "*) shift 3 && portcullis "$@" ;;
    "compose up "*) compose_up ;;
    "compose exec gateway "*) shift 3 && (in_gateway && "$@" --config gateway1.toml) ;;
    "compose stop") kill "$REDIS" "$BALANCER" "$GATEWAY1" "$GATEWAY2" "$GATEWAY3" && wait ;;
    *) echo "docker $*: nothing stands in for that" >&2 && return 1 ;;
    esac
}

# With the environment of the service `gateway`.
in_gateway() {
    export SECRET_KEY_FILE=secrets/secret_key STORE_PASSWORD_FILE=secrets/store_password ADMIN_PASSWORD_FILE=secrets/admin_password
}

start_gateway() { # NUMBER
    mkdir -p "replica$1"
    sed "s|0.0.0.0:8443|127.0.0.1$1:8443|; s|/run/secrets|secrets|; s|@redis:|@localhost:|; s|10.89.7.0/24|127.0.0.0/8|
        s|^\[store\]|&\npath = \"replica$1\"|; s|^drain_delay.*||" compose/gateway.toml > "gateway$1.toml"
    (in_gateway && exec portcullis run --config "gateway$1.toml" > "gateway$1.log" 2>&1) &
    until (in_gateway && portcullis healthcheck --config "gateway$1.toml" > healthcheck.log 2>&1); do sleep 0.1; done
}

compose_up() {
    # With the arguments of the service `redis`.
    ARGUMENTS=$(sed -n 's|/run/secrets|secrets|; s/^      - "*\([^"]*\)"*$/\1/p' compose.yaml | sed -n '/^--appendonly/,/redis.acl/p' | tr '\n' ' ')
    sh -c "exec '$STAGE/../../../target/redis/valkey-server' $ARGUMENTS --save '' --dir ." > redis.log 2>&1 &
    REDIS=$!
    until redis-cli ping > redis-cli.log 2>&1; do sleep 0.1; done
    start_gateway 1 && GATEWAY1=$!
    start_gateway 2 && GATEWAY2=$!
    start_gateway 3 && GATEWAY3=$!
    sed '/^resolvers/,/^$/d; s/bind :8443/bind :443/; /server-template/d; /maxconn/d' compose/haproxy.cfg > haproxy.cfg
    for n in 1 2 3; do echo "    server gateway$n 127.0.0.1$n:8443"; done >> haproxy.cfg
    haproxy -db -f haproxy.cfg > haproxy.log 2>&1 &
    BALANCER=$!
    until curl --insecure -o response https://localhost/health 2> curl.log; do sleep 0.1; done
}
