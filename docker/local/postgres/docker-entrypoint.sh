#!/usr/bin/env bash
# Makes the database the first time, with POSTGRES_USER, POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, and POSTGRES_DB, and
# runs what lies in /docker-entrypoint-initdb.d; then becomes the server.
set -euo pipefail
if [[ ${1:-} != postgres ]]; then exec "$@"; fi
if [[ $EUID -eq 0 ]]; then
    chown postgres:postgres "$PGDATA"
    chmod 700 "$PGDATA"
    exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
fi

user=${POSTGRES_USER:-postgres} database=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
if [[ ! -s $PGDATA/PG_VERSION ]]; then
    password=${POSTGRES_PASSWORD:-}
    [[ -z ${POSTGRES_PASSWORD_FILE:-} ]] || password=$(<"$POSTGRES_PASSWORD_FILE")
    [[ -n $password ]] || { echo 'POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE must be given' >&2 && exit 1; }
    initdb -U "$user" --pwfile <(printf '%s\n' "$password") -E UTF8 --locale=C.UTF-8 \
        --auth-local=trust --auth-host=scram-sha-256 >/dev/null
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    # Heard by nobody else until everything is made.
    pg_ctl -D "$PGDATA" -w -s -o "-c listen_addresses=''" start
    [[ $database == postgres ]] || createdb -U "$user" "$database"
    shopt -s nullglob
    for script in /docker-entrypoint-initdb.d/*.sql; do
        psql -q -v ON_ERROR_STOP=1 -U "$user" -d "$database" -f "$script"
    done
    pg_ctl -D "$PGDATA" -w -s -m fast stop
fi
exec postgres -c listen_addresses='*' "${@:2}"
