package store

// ClaimSQL is the statement that takes due deliveries on Postgres.
const ClaimSQL = claimSQL
