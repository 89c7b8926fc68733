-- Who may use Tagwatch, who is signed in, and what people did: a log in which every row holds the hash of the one before it.
CREATE TABLE account (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login        text        NOT NULL UNIQUE CHECK (login = lower(login) AND login <> ''),
    name         text        NOT NULL,
    roles        text[]      NOT NULL,
    force        text        NOT NULL,                -- '*': every force
    member       text        NOT NULL DEFAULT '',     -- the name that teams give an offender manager
    password     text        NOT NULL,                -- argon2id
    created      timestamptz NOT NULL,
    disabled     timestamptz,
    failures     integer     NOT NULL DEFAULT 0,      -- wrong passwords since the last right one
    locked_until timestamptz
);

-- A force's wearers for somebody of another force, for a time and with a reason.
CREATE TABLE force_grant (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint      NOT NULL REFERENCES account,
    force      text        NOT NULL CHECK (force NOT IN ('', '*')),
    reason     text        NOT NULL CHECK (reason <> ''),
    granted_by text        NOT NULL,
    from_at    timestamptz NOT NULL,
    until_at   timestamptz NOT NULL CHECK (until_at > from_at)
);

CREATE TABLE session (
    id         bytea       PRIMARY KEY,               -- SHA-256 of the cookie: who reads this table can be nobody
    account_id bigint      NOT NULL REFERENCES account,
    csrf       text        NOT NULL,
    began      timestamptz NOT NULL,
    seen       timestamptz NOT NULL,
    ends       timestamptz NOT NULL
);
CREATE INDEX session_account ON session (account_id);

-- Why a person's locations were opened in a session; asked for once, holds for a time.
CREATE TABLE opened_person (
    session_id bytea       NOT NULL REFERENCES session ON DELETE CASCADE,
    wearer     text        NOT NULL,
    reason     text        NOT NULL CHECK (reason <> ''),
    case_ref   text        NOT NULL,
    until_at   timestamptz NOT NULL,
    PRIMARY KEY (session_id, wearer)
);

CREATE TABLE api_token (
    id         bytea       PRIMARY KEY,               -- SHA-256 of the token
    account_id bigint      NOT NULL REFERENCES account,
    name       text        NOT NULL CHECK (name <> ''),
    scopes     text[]      NOT NULL,
    created    timestamptz NOT NULL,
    ends       timestamptz NOT NULL,
    used       timestamptz,
    revoked    timestamptz
);
CREATE INDEX api_token_account ON api_token (account_id);

-- No reference to account: what people did outlives them.
CREATE TABLE audit_entry (
    number   bigint      PRIMARY KEY,
    at       timestamptz NOT NULL,
    actor    text        NOT NULL CHECK (actor <> ''),
    roles    text        NOT NULL,
    via      text        NOT NULL,                    -- console, api, command
    action   text        NOT NULL,
    subject  text        NOT NULL,                    -- whom or what it was about
    reason   text        NOT NULL,
    case_ref text        NOT NULL,
    detail   text        NOT NULL,                    -- JSON, as it went into the hash
    hash     bytea       NOT NULL
);
CREATE INDEX audit_entry_subject ON audit_entry (subject, number);
CREATE INDEX audit_entry_actor ON audit_entry (actor, number);
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is only appended to', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER audit_entry_appended BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_entry_kept BEFORE TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
