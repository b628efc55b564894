-- Which fleet this is, for others who might use the same names on the same Redis. Never changed: a copy of the database
-- has it too, so it is compared together with where the database is (src/adapters/postgres/fleet.rs).
CREATE TABLE fleet (
    one_row  boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    identity uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO fleet DEFAULT VALUES;
