-- The daily duties: what each date's leader did. Every step is repeatable, so a date that was begun is finished by
-- whoever leads then.
CREATE TABLE cleanups (
    -- A date in WARMUP_TIMEZONE.
    day         date PRIMARY KEY,
    -- The later date whose duties did this one's too, after a stop of a day or more; NULL where it had its own.
    covered_by  date CHECK (covered_by > day),
    worker_id   text NOT NULL,
    attempts    integer NOT NULL DEFAULT 1 CHECK (attempts > 0),
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    -- How much each finished step took away, by its name.
    done        jsonb NOT NULL DEFAULT '{}'
);

-- Old days are found without reading all; rows come in the order of their days, so a few bytes a megabyte do.
CREATE INDEX mailbox_days_day ON mailbox_days USING brin (day) WITH (pages_per_range = 32);

-- As before, but no reader or writer of `logs` waits for it, nor it for them: CREATE TABLE ... PARTITION OF takes the
-- whole of `logs` for itself, so that one report left open over midnight would stop every settle; ATTACH does not.
CREATE OR REPLACE FUNCTION ensure_log_partitions(first date, last date) RETURNS integer LANGUAGE plpgsql
SET lock_timeout = '5s' AS $$
DECLARE
    made integer := 0;
    d date;
    part text;
BEGIN
    IF NOT EXISTS (
        SELECT FROM generate_series(first, last, interval '1 day') AS day
        WHERE to_regclass('logs_' || to_char(day, 'YYYYMMDD')) IS NULL
    ) THEN
        RETURN 0;
    END IF;
    -- Two workers that start together must not both create the same table.
    PERFORM pg_advisory_xact_lock(hashtext('warmup log partitions'));
    FOR d IN SELECT generate_series(first, last, interval '1 day')::date LOOP
        part := 'logs_' || to_char(d, 'YYYYMMDD');
        IF to_regclass(part) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE logs INCLUDING ALL)', part);
            EXECUTE format('ALTER TABLE logs ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part, d, d + 1);
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;
