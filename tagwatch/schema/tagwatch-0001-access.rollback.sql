DROP TABLE audit_entry;
DROP FUNCTION refuse_audit_change();
DROP TABLE api_token;
DROP TABLE opened_person;
DROP TABLE session;
DROP TABLE force_grant;
DROP TABLE account;
