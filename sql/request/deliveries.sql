-- The outbox: events in order per subject, at least once (docs/deliveries.md).

-- Claims are serialised, so that the time of its first event can serve as a subject's lease. A claim uses indexes
-- whatever the statistics say: a table that was empty a minute ago may hold a backlog now. JIT is off because the
-- planner's costs are far too high without sorting, and it would compile the query.
-- name: LockDeliveries :exec
SELECT pg_advisory_xact_lock(hashtext('phonebill.deliveries')), set_config('enable_seqscan', 'off', true),
    set_config('enable_sort', 'off', true), set_config('jit', 'off', true);

-- The first event of each subject, in the order of subjects from the one after @after: one index step for each subject,
-- however many events it has.
-- name: PendingSubjects :many
WITH RECURSIVE heads AS (
    (
        SELECT i.subject_index, i.delivery_next_at, 1::bigint AS n FROM requests i
        WHERE i.delivery_state = 'PENDING' AND i.subject_index > @after::bytea
        ORDER BY i.subject_index, i.delivery_sequence, i.id LIMIT 1
    )
    UNION ALL
    SELECT later.subject_index, later.delivery_next_at, heads.n + 1
    FROM heads CROSS JOIN LATERAL (
        SELECT i.subject_index, i.delivery_next_at FROM requests i
        WHERE i.delivery_state = 'PENDING' AND i.subject_index > heads.subject_index
        ORDER BY i.subject_index, i.delivery_sequence, i.id LIMIT 1
    ) later
    WHERE heads.n < @most::bigint
)
SELECT heads.subject_index, (heads.delivery_next_at <= @now::timestamptz)::boolean AS due FROM heads;

-- Leases the first events of the subjects: those that have a number, then the oldest, which get the next numbers. The
-- coalesce keeps the update from using an index of all pending events.
-- name: ClaimDeliveries :many
WITH batch AS (
    SELECT b.id, b.subject_index, b.delivery_sequence
    FROM unnest(@subjects::bytea[]) AS l (subject_index) CROSS JOIN LATERAL (
        SELECT i.id, i.subject_index, i.delivery_sequence FROM requests i
        WHERE i.delivery_state = 'PENDING' AND i.subject_index = l.subject_index
        ORDER BY i.delivery_sequence, i.id LIMIT @each::bigint
    ) b
), numbered AS (
    SELECT b.id, b.subject_index, (b.delivery_sequence IS NULL) AS fresh,
        coalesce(b.delivery_sequence, coalesce(s.last, 0) + row_number()
        OVER (PARTITION BY b.subject_index, b.delivery_sequence IS NULL ORDER BY b.id)) AS number
    FROM batch b LEFT JOIN delivery_sequences s ON s.line_index = b.subject_index
), counted AS (
    INSERT INTO delivery_sequences AS s (line_index, last)
    SELECT numbered.subject_index, max(numbered.number) FROM numbered WHERE numbered.fresh
    GROUP BY numbered.subject_index
    ON CONFLICT (line_index) DO UPDATE SET last = excluded.last
)
UPDATE requests i SET delivery_sequence = numbered.number, delivery_next_at = @lease_until::timestamptz,
    delivery_fence = i.delivery_fence + 1
FROM numbered WHERE i.id = numbered.id AND coalesce(i.delivery_state, '') = 'PENDING'
RETURNING i.id, i.subject_index, i.delivery_sequence, i.delivery_attempts, i.delivery_fence, i.processed_at,
    i.delivery_replayed_at;

-- name: SettleDeliveries :one
WITH given AS (
    SELECT unnest(@ids::uuid[]) AS id, unnest(@fences::bigint[]) AS fence, unnest(@states::text[]) AS state,
        unnest(@next_ats::timestamptz[]) AS next_at, unnest(@made::boolean[]) AS made, unnest(@notes::text[]) AS note
), settled AS (
    UPDATE requests i SET delivery_state = given.state,
        delivery_next_at = CASE WHEN given.state = 'PENDING' THEN given.next_at END,
        delivery_attempts = i.delivery_attempts + given.made::int,
        delivered_at = CASE WHEN given.state = 'DELIVERED' THEN @at::timestamptz END
    FROM given WHERE i.id = given.id AND i.delivery_fence = given.fence AND i.delivery_state = 'PENDING'
    RETURNING i.id, i.delivery_fence, i.delivery_state, given.made, given.note
), remembered AS (
    INSERT INTO delivery_attempts (event_id, fence, at, state, note)
    SELECT settled.id, settled.delivery_fence, @at::timestamptz, settled.delivery_state, settled.note FROM settled
    WHERE settled.made
)
SELECT count(*) FROM settled;

-- Newest first, by the primary key or, for pending and parked events, by their partial index. Ids are in the order of
-- the requests.
-- name: Deliveries :many
SELECT i.id, i.delivery_state, i.delivery_sequence, i.delivery_attempts,
    i.processed_at, i.delivery_next_at, i.delivered_at, i.delivery_replayed_at
FROM requests i
WHERE i.delivery_state <> 'NONE' AND (@state::text = '' OR i.delivery_state = @state::text)
    AND i.id >= @since::uuid
ORDER BY i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountDeliveries :one
SELECT count(*) FROM (
    SELECT 1 FROM requests i
    WHERE i.delivery_state <> 'NONE' AND (@state::text = '' OR i.delivery_state = @state::text) AND i.id >= @since::uuid
    ORDER BY i.id DESC LIMIT @most::bigint
) counted;

-- The last attempts of several events.
-- name: LastAttempts :many
SELECT a.event_id, a.at, a.state, a.note
FROM unnest(@events::uuid[]) AS e (id) CROSS JOIN LATERAL (
    SELECT d.event_id, d.at, d.state, d.note FROM delivery_attempts d
    WHERE d.event_id = e.id ORDER BY d.fence DESC LIMIT @most::bigint
) a;

-- name: DeliveryOf :one
SELECT delivery_state FROM requests WHERE id = $1;

-- An event that is replayed keeps its number, so it is the next one; but not before the lease of its subject is over.
-- name: ReplayDelivery :execrows
UPDATE requests i SET delivery_state = 'PENDING', delivery_attempts = 0, delivered_at = NULL,
    delivery_replayed_at = @now::timestamptz, delivery_next_at = greatest(@now::timestamptz, (
        SELECT f.delivery_next_at FROM requests f
        WHERE f.subject_index = i.subject_index AND f.delivery_state = 'PENDING'
        ORDER BY f.delivery_sequence, f.id LIMIT 1
    ))
WHERE i.id = @id AND i.delivery_state IN ('DELIVERED', 'PARKED');

-- The newest attempts to deliver one event, newest first.
-- name: AttemptsOf :many
SELECT at, state, note FROM delivery_attempts WHERE event_id = @event_id ORDER BY fence DESC LIMIT @most::bigint;
