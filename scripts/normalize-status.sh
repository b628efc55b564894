#!/usr/bin/env bash
# Repairs the statuses in an older system's logs, by psql: what `warmup logs normalize` does, where there is no warmup yet.
set -euo pipefail

usage() {
    cat <<USAGE
Usage: DATABASE_URL=postgres://… scripts/normalize-status.sh [--unknown-as SENT|REPLIED|FAILED] [--table SCHEMA.NAME]

Brings every status in the older system's table logs to SENT, REPLIED or FAILED, whatever its case and the white space
around it, adds a CHECK that keeps it so, and prints the counts before and after. One transaction; repeating it changes
nothing. Unknown values are listed and nothing is changed, unless --unknown-as says what they become.

The database is the one of DATABASE_URL or, without it, of psql's own PGHOST, PGDATABASE, PGUSER, ~/.pgpass and so on.
Exit status: 0 done, 1 nothing was changed, 2 wrong usage.
USAGE
}

unknown_as= table=logs
while (($#)); do
    case $1 in
        --unknown-as | --table)
            [[ $# -ge 2 ]] || { echo "$1 needs a value" >&2; usage >&2; exit 2; }
            if [[ $1 == --table ]]; then table=$2; else unknown_as=$2; fi
            shift 2
            ;;
        -h | --help) usage; exit 0 ;;
        *) echo "unknown argument: $1" >&2; usage >&2; exit 2 ;;
    esac
done
command -v psql >/dev/null || { echo "psql is not installed: apt-get install postgresql-client" >&2; exit 1; }

target=()
if [[ -n ${DATABASE_URL:-} ]]; then
    # The arguments of a running psql are seen by every user of the machine: the password goes by the environment.
    if [[ $DATABASE_URL =~ ^(postgres(ql)?://[^:@/?]*):([^@]*)@(.*)$ ]]; then
        url="${BASH_REMATCH[1]}@${BASH_REMATCH[4]}"
        printf -v PGPASSWORD '%b' "${BASH_REMATCH[3]//%/\\x}"
        export PGPASSWORD
    else
        url=$DATABASE_URL
    fi
    target=(-d "$url")
fi
file=$(dirname "${BASH_SOURCE[0]}")/../migrations/normalize-log-status.sql
psql -X -q "${target[@]}" -v "unknown_as=$unknown_as" -v "table=$table" -f "$file" || exit 1
