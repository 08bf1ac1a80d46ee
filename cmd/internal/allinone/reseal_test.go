package allinone_test

import (
	"net/http"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/devstack"
)

// TestResealTheRunningSystem seals under load, from the other tests, and everything is found and opens afterwards.
func TestResealTheRunningSystem(t *testing.T) {
	t.Parallel()
	needSystem(t)
	_, _, err := command(t, "", "reseal", "--reason", "업그레이드 완료")
	require.ErrorContains(t, err, "--all-upgraded")
	_, _, err = command(t, "", "reseal", "--all-upgraded", "--rows-per-second", "0", "--reason", "업그레이드 완료")
	require.ErrorContains(t, err, "--rows-per-second")
	_, _, err = command(t, "", "reseal", "--all-upgraded", "--reason", "x")
	require.Error(t, err)
	for _, name := range []string{"auth", "bill", "product", "kos"} { // as in a system whose job was interrupted
		db, err := pgx.Connect(t.Context(), running.Databases[name])
		require.NoError(t, err)
		_, err = db.Exec(t.Context(), "UPDATE sealing SET form = 2")
		require.NoError(t, err)
		require.NoError(t, db.Close(t.Context()))
	}
	out, progress, err := command(t, "", "reseal", "--all-upgraded", "--leave-unreadable", "--rows-per-second", "100000",
		"--reason", "업그레이드 완료")
	require.NoError(t, err, progress)
	require.Contains(t, out, "values bound to their column alone are refused")
	require.Contains(t, progress, "waiting until every instance writes the new form")
	for _, name := range []string{"auth", "bill", "product", "kos"} {
		db, err := pgx.Connect(t.Context(), running.Databases[name])
		require.NoError(t, err)
		var form int
		require.NoError(t, db.QueryRow(t.Context(), "SELECT form FROM sealing").Scan(&form))
		require.Equal(t, 3, form, name)
		require.NoError(t, db.Close(t.Context()))
	}
	token := login(t, running.Customers[0])
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, "/bills/menu", token, nil).status)
	db, err := pgx.Connect(t.Context(), running.Databases["auth"])
	require.NoError(t, err)
	defer func() { _ = db.Close(t.Context()) }()
	var rows int
	require.NoError(t, db.QueryRow(t.Context(),
		"SELECT count(*) FROM audit_log WHERE action = 'VALUES_RESEALED'").Scan(&rows))
	require.Equal(t, 2, rows, "the intent and what came of it")
	require.NoError(t, db.QueryRow(t.Context(), `SELECT count(*) FROM users
		WHERE password_hash NOT LIKE 'sealed:%' AND password_hash <> ''`).Scan(&rows))
	require.Zero(t, rows)
}

// TestAnUnreadableNameIsOneMarkedRow for staff, and its owner still logs in.
func TestAnUnreadableNameIsOneMarkedRow(t *testing.T) {
	t.Parallel()
	needSystem(t)
	var owner, other devstack.Login
	for user, made := range map[string]*devstack.Login{"unreadable-name": &owner, "unreadable-not": &other} {
		r := call(t, http.MethodPost, "/admin/users", login(t, running.Admin), fields{
			"userId": user, "password": initialPassword, "userName": "홍길동", "customerId": "C-unreadable", "lines": []string{},
			"roles": []string{"CUSTOMER"}, "permissions": []string{"BILL_INQUIRY"}, "reason": "시험 계정",
		})
		require.Equal(t, http.StatusCreated, r.status, r.raw)
		*made = own(t, devstack.Login{UserID: user, Password: initialPassword})
	}
	db, err := pgx.Connect(t.Context(), running.Databases["auth"])
	require.NoError(t, err)
	defer func() { _ = db.Close(t.Context()) }()
	_, err = db.Exec(t.Context(), "UPDATE users SET name_sealed = 'damaged' WHERE user_id = $1", owner.UserID)
	require.NoError(t, err)
	operator := login(t, running.Operator)
	r := call(t, http.MethodGet, "/admin/users?customerId=C-unreadable&size=100", operator, nil)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.Contains(t, r.raw, `"userId":"`+other.UserID+`","userName":"홍*동"`)
	require.Contains(t, r.raw, `"unreadable":["NAME"]`)
	require.NotContains(t, r.raw, `"userId":"`+owner.UserID+`","userName"`)
	r = call(t, http.MethodGet, "/admin/users/"+owner.UserID, operator, nil)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	out, _, err := command(t, "", "users", "show", owner.UserID)
	require.NoError(t, err)
	require.Regexp(t, "cannot be opened +NAME", out)
	require.Contains(t, running.logs.String(), `"subject":"auth.users.name unreadable-name"`)
	r = call(t, http.MethodGet, "/auth/user-info", login(t, owner), nil)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.NotContains(t, r.raw, "userName")
}

// TestExchangedLinesOpenForNoAccount: two customers' sealed lines exchanged in the database show neither the other's.
func TestExchangedLinesOpenForNoAccount(t *testing.T) {
	t.Parallel()
	needSystem(t)
	lines := map[string]string{"exchanged-one": "01077780001", "exchanged-two": "01077780002"}
	for user, number := range lines {
		r := call(t, http.MethodPost, "/admin/users", login(t, running.Admin), fields{
			"userId": user, "password": initialPassword, "userName": "홍길동", "customerId": "C-" + user,
			"lines": []string{number},
			"roles": []string{"CUSTOMER"}, "permissions": []string{"BILL_INQUIRY"}, "reason": "시험 계정",
		})
		require.Equal(t, http.StatusCreated, r.status, r.raw)
		own(t, devstack.Login{UserID: user, Password: initialPassword})
	}
	db, err := pgx.Connect(t.Context(), running.Databases["auth"])
	require.NoError(t, err)
	defer func() { _ = db.Close(t.Context()) }()
	tag, err := db.Exec(t.Context(), `UPDATE user_lines t SET line_sealed = o.line_sealed FROM user_lines o
		WHERE t.user_id LIKE 'exchanged-%' AND o.user_id LIKE 'exchanged-%' AND t.user_id <> o.user_id`)
	require.NoError(t, err)
	require.EqualValues(t, 2, tag.RowsAffected())
	for user := range lines {
		r := call(t, http.MethodGet, "/bills/menu", login(t, devstack.Login{UserID: user, Password: strongPassword}), nil)
		require.NotContains(t, r.raw, "7778-000", user)
		r = call(t, http.MethodGet, "/admin/users/"+user, login(t, running.Operator), nil)
		require.Contains(t, r.raw, `"unreadable":["LINES"]`)
	}
}
