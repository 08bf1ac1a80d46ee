-- One statement, so that parallel searches of one person in all instances are counted one after the other. No row: the
-- limit is reached.
-- name: TakeSearch :one
INSERT INTO exact_searches AS s (person, times) VALUES (@person, ARRAY[@now::timestamptz])
ON CONFLICT (person) DO UPDATE
SET times = ARRAY(SELECT t FROM unnest(s.times) AS t WHERE t > @since::timestamptz ORDER BY t) || @now::timestamptz
WHERE (SELECT count(*) FROM unnest(s.times) AS t WHERE t > @since::timestamptz) < @most::bigint
RETURNING cardinality(s.times)::bigint AS taken;

-- name: OldestSearch :one
SELECT t::timestamptz AS at FROM exact_searches s, unnest(s.times) AS t
WHERE s.person = @person AND t > @since::timestamptz ORDER BY t LIMIT 1;
