package postgres_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/migrations"
)

// TestServicesCannotChangeWhatAskedWhoAndWhen: neither may they make young history old, and have it dropped.
func TestServicesCannotChangeWhatAskedWhoAndWhen(t *testing.T) {
	t.Parallel()
	for db, tables := range map[migrations.Database]map[string][]string{
		migrations.Bill: {
			"inquiries": {"id", "user_id", "customer_id", "line_sealed", "line_index", "month", "requested_at", "trace_id"},
		},
		migrations.Product: {
			"change_orders": {
				"id", "user_id", "customer_id", "line_sealed", "line_index", "from_code", "to_code", "effective_rule", "requested_at",
				"trace_id",
			},
			"book_runs": {"id", "nightly", "from_at", "to_at", "started_at"},
		},
	} {
		database := pgtest.New(t, db)
		for table, fixed := range tables {
			allowed := texts(t, database.Admin, `SELECT column_name::text FROM information_schema.columns
				WHERE table_name = '`+table+`' AND NOT column_name::text = ANY (SELECT unnest(string_to_array('`+strings.Join(fixed, " ")+`', ' ')))`)
			require.NotEmpty(t, allowed)
			for _, column := range allowed {
				_, err := database.Pool.Exec(t.Context(), "UPDATE "+table+" SET "+column+" = "+column+" WHERE false")
				require.NoError(t, err, "%s.%s is progress", table, column)
			}
			for _, column := range fixed {
				_, err := database.Pool.Exec(t.Context(), "UPDATE "+table+" SET "+column+" = "+column+" WHERE false")
				requireDenied(t, err)
			}
		}
	}
}

func TestYoungHistoryCannotBeMadeOld(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Bill)
	exec(t, db.Pool, `INSERT INTO inquiries (id, user_id, customer_id, line_sealed, line_index, month, status, source, requested_at,
		delivery_state) VALUES ($1, 'u', 'c', '', '', '2020-01', 'COMPLETED', '', now(), 'DELIVERED')`, idOf(0, 1))
	_, err := db.Pool.Exec(t.Context(), "UPDATE inquiries SET id = $1 WHERE id = $2", idOf(3, 1), idOf(0, 1))
	requireDenied(t, err)
	require.Zero(t, drain(t, postgres.PurgeInquiries(db.Pool), 2, 10))
	require.Equal(t, 1, count(t, db.Admin, "inquiries"))
}
