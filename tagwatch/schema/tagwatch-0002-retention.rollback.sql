DROP TABLE horizon_number;
DROP TABLE closed_span;
DROP TABLE horizon;
DROP TABLE erasure;
DROP TABLE legal_hold;
DROP TABLE retention_term;
