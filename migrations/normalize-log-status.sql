-- The one-time repair of an older system's table logs(timestamp, sender_id, recipient_id, sender, recipient, subject,
-- status, notes), in place: `sent`, `Sent`, `SENT ` and so on become SENT, REPLIED or FAILED, and a CHECK keeps it so.
--
--   psql "$DATABASE_URL" -f migrations/normalize-log-status.sql
--   psql "$DATABASE_URL" -v unknown_as=FAILED -v table=public.logs -f migrations/normalize-log-status.sql
--
-- Case does not count, nor does white space around the word. What is then still none of the three, NULL and the empty
-- text included, is unknown: it is listed with its counts and nothing is changed, unless unknown_as says what it becomes.
-- One transaction, safe to repeat: a second run changes nothing. Nobody reads or writes the table meanwhile, so that no
-- other status slips in between. `warmup logs normalize` runs the very text between the two marks below. No migration:
-- the migrator takes only names that begin with a number and an underscore.
\set ON_ERROR_STOP on
\if :{?unknown_as}
\else
\set unknown_as ''
\endif
\if :{?table}
\else
\set table logs
\endif
BEGIN;
SELECT set_config('warmup.unknown_as', :'unknown_as', true) AS said, set_config('warmup.table', :'table', true) AS asked
\gset told_

-- [the repair]
DO $repair$
DECLARE
    statuses CONSTANT text[] := ARRAY['SENT', 'REPLIED', 'FAILED'];
    wanted CONSTANT text := current_setting('warmup.table');
    -- COLLATE "C": in a Turkish database the upper case of `failed` is another word.
    unknown_as CONSTANT text := nullif(upper(btrim(current_setting('warmup.unknown_as')) COLLATE "C"), '');
    -- How many of the stored values are listed, the most frequent first.
    listed CONSTANT integer := 50;
    logs regclass;
    kind "char";
    owner oid;
    status_at smallint;
    status_type oid;
    status_length integer;
    never_null boolean;
    cleaned text;
    fresh text;
    guarded boolean := false;
    refused boolean;
    lax boolean;
    constrained record;
    changed bigint;
    unknown bigint;
    promised jsonb;
    counted jsonb;
    before jsonb;
    notes jsonb := '[]';
    -- Blanks that may stand around the word: ASCII's, the no-break space and, where the database can hold them, those of
    -- Unicode, the invisible ones too.
    blanks text := E' \t\n\r\f\x0B' || chr(160);
BEGIN
    PERFORM set_config('statement_timeout', '0', true), set_config('lock_timeout', '30s', true),
            set_config('row_security', 'off', true);
    IF current_setting('server_encoding') = 'UTF8' THEN
        SELECT blanks || string_agg(chr(code), '') INTO blanks
        FROM unnest(ARRAY[133, 5760, 8232, 8233, 8239, 8287, 8288, 12288, 65279]
                    || ARRAY(SELECT generate_series(8192, 8205))) AS code;
    END IF;
    IF unknown_as <> ALL (statuses) THEN
        RAISE EXCEPTION 'unknown values can become SENT, REPLIED or FAILED, not %', quote_literal(unknown_as)
            USING ERRCODE = 'WU000';
    END IF;

    logs := to_regclass(wanted);
    IF logs IS NULL THEN
        RAISE EXCEPTION 'there is no table % in database % that % may see', wanted, current_database(), current_user
            USING ERRCODE = 'WU000', HINT = 'Name the older system''s database, and the table with its schema: public.logs.';
    END IF;
    SELECT relkind, relowner INTO kind, owner FROM pg_class WHERE oid = logs;
    IF kind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION '% is no table but a %', logs, CASE kind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
            WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' ELSE 'relation of another kind' END
            USING ERRCODE = 'WU000', HINT = 'Name the table that it reads from, with its schema.';
    END IF;
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = logs AND attname = 'day' AND NOT attisdropped) THEN
        RAISE EXCEPTION '% is warmup''s own table: the database has always kept its statuses right, nothing is to be done',
            logs USING ERRCODE = 'WU000', HINT = 'Name the database of the older system.';
    END IF;
    SELECT attnum, atttypid, atttypmod - 4, attnotnull INTO status_at, status_type, status_length, never_null
    FROM pg_attribute WHERE attrelid = logs AND attname = 'status' AND NOT attisdropped;
    IF status_at IS NULL THEN
        RAISE EXCEPTION '% has no column status: it is not the older system''s log', logs USING ERRCODE = 'WU000';
    END IF;
    -- A char(n) pads, an enum and a domain have rules of their own, citext knows no case.
    IF status_type NOT IN ('text'::regtype, 'varchar'::regtype) OR status_length BETWEEN 0 AND 6 THEN
        RAISE EXCEPTION 'the column status of % is of type %, which can''t hold the three words as they are', logs,
            (SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = logs AND attnum = status_at)
            USING ERRCODE = 'WU000',
                  HINT = format('Change it first: ALTER TABLE %s ALTER COLUMN status DROP DEFAULT, ALTER COLUMN status '
                                'TYPE text USING status::text; a CHECK on it may have to go before.', logs);
    END IF;
    IF NOT pg_has_role(owner, 'USAGE') THEN
        RAISE EXCEPTION '% may not change %: only its owner may add a CHECK', current_user, logs
            USING ERRCODE = 'WU000', HINT = format('Connect as %I.', pg_get_userbyid(owner));
    END IF;

    -- From here on nobody else writes; taken at once and in full, a reader that writes later can't end in a deadlock.
    BEGIN
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', logs);
    EXCEPTION WHEN lock_not_available THEN
        RAISE EXCEPTION 'somebody has been working with % for 30 s: nothing was changed', logs
            USING ERRCODE = 'WU000', HINT = 'Stop the older system, or end the transaction that is open, and repeat.';
    END;
    -- As the table is now: what was read before the lock may have changed.
    SELECT attnotnull INTO never_null FROM pg_attribute WHERE attrelid = logs AND attnum = status_at;

    cleaned := format('upper(btrim(status::text COLLATE "C", %L) COLLATE "C")', blanks);
    EXECUTE format($sql$
        WITH stored AS (
            SELECT status::text AS word, count(*) AS rows,
                   CASE WHEN %1$s = ANY (%2$L::text[]) THEN %1$s END AS known
            FROM %3$s GROUP BY status
        ),
        ranked AS (
            SELECT row_number() OVER (ORDER BY known IS NULL DESC, rows DESC, word) <= %4$s AS shown, rows, known,
                   CASE WHEN word IS NULL THEN 'NULL'
                        ELSE replace(left(to_json(word)::text, 80), chr(160), '\u00a0') END AS label
            FROM stored
        ),
        folded AS (
            SELECT CASE WHEN shown THEN label END AS value, rows, known, NOT shown AS rest FROM ranked
        ),
        lines AS (
            SELECT coalesce(value, format('(%%s other values)', count(*))) AS stored,
                   coalesce(known, %5$L, 'unknown') AS becomes, sum(rows)::bigint AS rows, known IS NULL AS unknown,
                   rest
            FROM folded
            GROUP BY value, known, rest
        )
        SELECT coalesce((SELECT jsonb_agg(to_jsonb(lines) ORDER BY unknown DESC, rest, rows DESC, stored) FROM lines), '[]'),
               coalesce((SELECT sum(rows) FROM lines WHERE unknown), 0)::bigint,
               (SELECT coalesce(jsonb_object_agg(becomes, rows), '{}')
                FROM (SELECT becomes, sum(rows) AS rows FROM lines GROUP BY becomes) AS sums)
        $sql$, cleaned, statuses, logs, listed, unknown_as) INTO before, unknown, promised;
    IF unknown > 0 AND unknown_as IS NULL THEN
        RAISE EXCEPTION '% of % rows of % have a status that is none of SENT, REPLIED and FAILED; nothing was changed',
            unknown, (SELECT sum((line ->> 'rows')::bigint) FROM jsonb_array_elements(before) AS line), logs
            USING ERRCODE = 'WU001',
                  DETAIL = (SELECT string_agg(format('%s rows: %s', line ->> 'rows', line ->> 'stored'), E'\n' ORDER BY place)
                            FROM jsonb_array_elements(before) WITH ORDINALITY AS lines (line, place)
                            WHERE (line ->> 'unknown')::boolean),
                  HINT = 'Repair them by hand, or say what they become: --unknown-as FAILED (psql: -v unknown_as=FAILED).';
    END IF;

    -- An older CHECK on this column alone that refuses one of the three words gives way to ours; so does one of our name
    -- that lets more pass. One that is as strict as ours makes it needless.
    FOR constrained IN
        SELECT conname, convalidated, pg_get_expr(conbin, conrelid) AS expression, pg_get_constraintdef(oid) AS definition
        FROM pg_constraint WHERE conrelid = logs AND contype = 'c' AND conkey = ARRAY[status_at]
        ORDER BY conname
    LOOP
        EXECUTE format('SELECT NOT bool_and(coalesce((%s), true)) FROM unnest(%L::text[]) AS one (status)',
                       constrained.expression, statuses) INTO refused;
        EXECUTE format('SELECT bool_or(coalesce((%s), true)) FROM unnest(%L::text[]) AS one (status) WHERE NOT (%L AND status IS NULL)',
                       constrained.expression, ARRAY['sent', 'SENT ', ' SENT', 'Replied', 'failed', 'PENDING', '', NULL],
                       never_null) INTO lax;
        IF refused OR (constrained.conname = 'logs_status_known' AND (lax OR NOT constrained.convalidated)) THEN
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', logs, constrained.conname);
            notes := notes || to_jsonb(format('dropped the older constraint %s %s', constrained.conname, constrained.definition));
        ELSIF constrained.convalidated AND NOT lax THEN
            guarded := true;
        END IF;
    END LOOP;

    BEGIN
        fresh := format('CASE WHEN %1$s = ANY (%2$L::text[]) THEN %1$s ELSE %3$L END', cleaned, statuses, unknown_as);
        EXECUTE format('UPDATE %1$s SET status = %2$s WHERE status IS DISTINCT FROM %2$s', logs, fresh);
        GET DIAGNOSTICS changed = ROW_COUNT;
    EXCEPTION WHEN check_violation THEN
        RAISE EXCEPTION 'another rule of % refuses a repaired row: %; nothing was changed', logs, SQLERRM
            USING ERRCODE = 'WU000', HINT = 'Drop that constraint first.';
    END;
    SET CONSTRAINTS ALL IMMEDIATE;
    IF NOT guarded THEN
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT logs_status_known CHECK (status IS NOT NULL AND status IN (''SENT'', ''REPLIED'', ''FAILED''))', logs);
        notes := notes || to_jsonb('added the constraint logs_status_known'::text);
    END IF;

    EXECUTE format('SELECT coalesce(jsonb_object_agg(status, rows), ''{}'') FROM (SELECT status, count(*) AS rows FROM %s GROUP BY status) AS sums',
                   logs) INTO counted;
    IF counted IS DISTINCT FROM promised THEN
        RAISE EXCEPTION 'the rows of % do not add up: % were to be, % are (has it a trigger?); nothing was changed',
            logs, promised, counted USING ERRCODE = 'WU000';
    END IF;
    PERFORM set_config('warmup.before', before::text, true), set_config('warmup.after', counted::text, true),
            set_config('warmup.changed', changed::text, true), set_config('warmup.notes', notes::text, true);
END $repair$;
-- [end of the repair]

\echo Before:
SELECT stored, becomes, rows
FROM jsonb_to_recordset(current_setting('warmup.before')::jsonb) AS line (stored text, becomes text, rows bigint)
UNION ALL
SELECT 'total', '', coalesce(sum((line ->> 'rows')::bigint), 0)
FROM jsonb_array_elements(current_setting('warmup.before')::jsonb) AS line;
\echo After:
SELECT status, coalesce((current_setting('warmup.after')::jsonb ->> status)::bigint, 0) AS rows
FROM unnest(ARRAY['SENT', 'REPLIED', 'FAILED']) AS status
UNION ALL
SELECT 'total', coalesce(sum(rows::bigint), 0) FROM jsonb_each_text(current_setting('warmup.after')::jsonb) AS sums (status, rows);
SELECT current_setting('warmup.changed') AS "rows changed", coalesce(string_agg(note, '; '), 'nothing') AS "constraints changed"
FROM jsonb_array_elements_text(current_setting('warmup.notes')::jsonb) AS note;
COMMIT;
