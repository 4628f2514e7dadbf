-- +goose Up

-- Whether somebody had the call hung up, so that the node that owns it finds it.
ALTER TABLE leases ADD COLUMN hung_up BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX leases_hung_up ON leases (owner) WHERE hung_up;
