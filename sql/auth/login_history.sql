-- name: AppendLogin :exec
INSERT INTO login_history (id, at, user_id, subject, type, success, reason, ip, user_agent, service)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);
