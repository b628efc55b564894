-- What lets somebody speak to the API in a user's name. Only the hash of a token is kept: it can be checked and not be
-- told again. One that was revoked stays, so that it can be seen who had access when.

CREATE TABLE tokens (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id      bigint NOT NULL REFERENCES users,
    -- What it is for, in the words of whoever made it.
    name         text NOT NULL,
    -- SHA-256 of the whole token; the token is 256 random bits, so no salt is needed.
    hash         bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    created_at   timestamptz NOT NULL,
    -- NULL where it holds until it is revoked.
    expires_at   timestamptz CHECK (expires_at > created_at),
    -- To the minute.
    last_used_at timestamptz,
    revoked_at   timestamptz
);
CREATE INDEX tokens_user ON tokens (user_id);
