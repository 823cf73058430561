import psycopg2
from psycopg2.extras import Json
from scenario import BODY, MODE, PROJECT, SECRET, SOURCE, UNSTORABLE, failure, run, scenario
from with_psycopg2 import connection, update_dbt_source


def error_of(source, body):
    with connection.cursor() as cursor:
        error = failure(cursor.execute, 'SELECT dbt.update_project_dbt_source(%s, %s, %s)', [PROJECT, source, Json(body)])
    connection.rollback()
    return error


def others_see_the_body():
    with connection.cursor() as cursor:
        failure(cursor.execute, 'SELECT dbt.update_project_dbt_source(%s, %s, %s)', [PROJECT, 'none', Json(BODY)])
    with psycopg2.connect('') as another, another.cursor() as cursor:
        cursor.execute('SELECT query FROM pg_stat_activity WHERE pid = %s', [connection.info.backend_pid])
        assert SECRET in cursor.fetchone()[0]
    connection.rollback()


def an_error_has_the_body():
    error = error_of('none', BODY)
    assert "LINE 1: " in str(error) and "'{" in str(error), error
    assert SECRET in error.cursor.query.decode()
    assert SECRET in str(error_of(SOURCE, UNSTORABLE))


run({
    **scenario(update_dbt_source),
    **({'trap: an error has the body': an_error_has_the_body, 'trap: pg_stat_activity': others_see_the_body} if MODE == 'direct' else {}),
})
