-- Claims of one outbox are made one after the other: then lines need no lease of their own, the time of their first event is it. A claim
-- goes along indexes whatever the statistics say: tables that were empty a minute ago may hold a backlog now. (Without sorting what must
-- be sorted seems so dear that it would be compiled.)
-- name: LockDeliveries :exec
SELECT pg_advisory_xact_lock(hashtext('phonebill.deliveries')), set_config('enable_seqscan', 'off', true),
    set_config('enable_sort', 'off', true), set_config('jit', 'off', true);

-- The first event of each line, line by line from the one after @after: one step into the index for each, however many events it has.
-- name: PendingLines :many
WITH RECURSIVE heads AS (
    (
        SELECT i.line_index, i.delivery_next_at, 1::bigint AS n FROM inquiries i
        WHERE i.delivery_state = 'PENDING' AND i.line_index > @after::bytea
        ORDER BY i.line_index, i.delivery_sequence, i.id LIMIT 1
    )
    UNION ALL
    SELECT later.line_index, later.delivery_next_at, heads.n + 1
    FROM heads CROSS JOIN LATERAL (
        SELECT i.line_index, i.delivery_next_at FROM inquiries i
        WHERE i.delivery_state = 'PENDING' AND i.line_index > heads.line_index
        ORDER BY i.line_index, i.delivery_sequence, i.id LIMIT 1
    ) later
    WHERE heads.n < @most::bigint
)
SELECT heads.line_index, (heads.delivery_next_at <= @now::timestamptz)::boolean AS due FROM heads;

-- The first events of the lines: those whose number is already given, then the oldest. They get the next numbers. The
-- coalesce keeps the update from going along an index of all that is pending.
-- name: ClaimDeliveries :many
WITH batch AS (
    SELECT b.id, b.line_index, b.delivery_sequence
    FROM unnest(@lines::bytea[]) AS l (line_index) CROSS JOIN LATERAL (
        SELECT i.id, i.line_index, i.delivery_sequence FROM inquiries i
        WHERE i.delivery_state = 'PENDING' AND i.line_index = l.line_index
        ORDER BY i.delivery_sequence, i.id LIMIT @each::bigint
    ) b
), numbered AS (
    SELECT b.id, b.line_index, (b.delivery_sequence IS NULL) AS fresh, coalesce(b.delivery_sequence, coalesce(s.last, 0) + row_number()
        OVER (PARTITION BY b.line_index, b.delivery_sequence IS NULL ORDER BY b.id)) AS number
    FROM batch b LEFT JOIN delivery_sequences s ON s.line_index = b.line_index
), counted AS (
    INSERT INTO delivery_sequences AS s (line_index, last)
    SELECT numbered.line_index, max(numbered.number) FROM numbered WHERE numbered.fresh GROUP BY numbered.line_index
    ON CONFLICT (line_index) DO UPDATE SET last = excluded.last
)
UPDATE inquiries i SET delivery_sequence = numbered.number, delivery_next_at = @lease_until::timestamptz,
    delivery_fence = i.delivery_fence + 1
FROM numbered WHERE i.id = numbered.id AND coalesce(i.delivery_state, '') = 'PENDING'
RETURNING i.*;

-- name: SettleDeliveries :one
WITH given AS (
    SELECT unnest(@ids::uuid[]) AS id, unnest(@fences::bigint[]) AS fence, unnest(@states::text[]) AS state,
        unnest(@next_ats::timestamptz[]) AS next_at, unnest(@made::boolean[]) AS made, unnest(@notes::text[]) AS note
), settled AS (
    UPDATE inquiries i SET delivery_state = given.state,
        delivery_next_at = CASE WHEN given.state = 'PENDING' THEN given.next_at END,
        delivery_attempts = i.delivery_attempts + given.made::int,
        delivered_at = CASE WHEN given.state = 'DELIVERED' THEN @at::timestamptz END
    FROM given WHERE i.id = given.id AND i.delivery_fence = given.fence AND i.delivery_state = 'PENDING'
    RETURNING i.id, i.delivery_fence, i.delivery_state, given.made, given.note
), remembered AS (
    INSERT INTO delivery_attempts (event_id, fence, at, state, note)
    SELECT settled.id, settled.delivery_fence, @at::timestamptz, settled.delivery_state, settled.note FROM settled WHERE settled.made
)
SELECT count(*) FROM settled;

-- Newest first, along the primary key or, for the few of a state, along its partial index. Ids are in the order of the requests.
-- name: Deliveries :many
SELECT * FROM inquiries i
WHERE i.delivery_state <> 'NONE' AND (@state::text = '' OR i.delivery_state = @state::text)
    AND i.id >= @since::uuid
ORDER BY i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountDeliveries :one
SELECT count(*) FROM (
    SELECT 1 FROM inquiries i
    WHERE i.delivery_state <> 'NONE' AND (@state::text = '' OR i.delivery_state = @state::text) AND i.id >= @since::uuid
    ORDER BY i.id DESC LIMIT @most::bigint
) counted;

-- The last attempts of some events.
-- name: LastAttempts :many
SELECT a.event_id, a.at, a.state, a.note
FROM unnest(@events::uuid[]) AS e (id) CROSS JOIN LATERAL (
    SELECT d.event_id, d.at, d.state, d.note FROM delivery_attempts d
    WHERE d.event_id = e.id ORDER BY d.fence DESC LIMIT @most::bigint
) a;

-- name: DeliveryOf :one
SELECT delivery_state FROM inquiries WHERE id = $1;

-- An event to be told again keeps its number, so it comes first; but not before a lease that is out on its line is over.
-- name: ReplayDelivery :execrows
UPDATE inquiries i SET delivery_state = 'PENDING', delivery_attempts = 0, delivered_at = NULL, delivery_replayed_at = @now::timestamptz,
    delivery_next_at = greatest(@now::timestamptz, (
        SELECT f.delivery_next_at FROM inquiries f
        WHERE f.line_index = i.line_index AND f.delivery_state = 'PENDING'
        ORDER BY f.delivery_sequence, f.id LIMIT 1
    ))
WHERE i.id = @id AND i.delivery_state IN ('DELIVERED', 'PARKED');
