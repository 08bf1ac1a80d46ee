-- name: AppendAudit :exec
INSERT INTO audit_log (writer, seq, at, actor, action, subject, reason, outcome, detail, ip, previous_hash, hash,
    keyed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: AuditHead :one
SELECT seq, hash FROM audit_log WHERE writer = $1 ORDER BY seq DESC LIMIT 1;

-- name: AuditWriters :many
WITH RECURSIVE w AS (
    (SELECT writer FROM audit_log ORDER BY writer LIMIT 1)
    UNION ALL
    SELECT (SELECT a.writer FROM audit_log a WHERE a.writer > w.writer ORDER BY a.writer LIMIT 1) FROM w
    WHERE w.writer IS NOT NULL
)
SELECT w.writer::uuid AS writer, h.seq, h.hash FROM w
CROSS JOIN LATERAL (SELECT a.seq, a.hash FROM audit_log a WHERE a.writer = w.writer ORDER BY a.seq DESC LIMIT 1) h
ORDER BY w.writer;

-- name: AuditRowsAfter :many
SELECT * FROM audit_log WHERE (writer, seq) > (@writer::uuid, @seq::bigint) ORDER BY writer, seq LIMIT @most::bigint;

-- name: AuditRowsOf :many
SELECT * FROM audit_log WHERE writer = @writer::uuid AND seq > @seq::bigint ORDER BY seq LIMIT @most::bigint;

-- name: AuditCheckpointsAfter :many
SELECT * FROM audit_checkpoints WHERE seq > $1 ORDER BY seq;

-- name: AddAuditCheckpoint :execrows
INSERT INTO audit_checkpoints (seq, at, heads, previous_hash, hash, kid, signature, closes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (seq) DO NOTHING;

-- A page for a person to read, the newest rows first.
-- name: AuditPage :many
SELECT * FROM audit_log a
WHERE (@actor::text = '' OR a.actor = @actor::text) AND (@action::text = '' OR a.action = @action::text)
    AND (@subject::text = '' OR a.subject = @subject::text) AND a.at >= @since::timestamptz
ORDER BY a.at DESC, a.writer, a.seq DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountAudit :one
SELECT count(*) FROM (
    SELECT 1 FROM audit_log a
    WHERE (@actor::text = '' OR a.actor = @actor::text) AND (@action::text = '' OR a.action = @action::text)
        AND (@subject::text = '' OR a.subject = @subject::text) AND a.at >= @since::timestamptz
    LIMIT @most::bigint
) counted;
