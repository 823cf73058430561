from psycopg2.extras import Json
from scenario import BODY, MODE, PROJECT, SECRET, SOURCE, UNSTORABLE, failure, run, scenario
from with_psycopg2 import connection, update_dbt_source


def error_of(source, body):
    with connection.cursor() as cursor:
        error = failure(cursor.execute, 'SELECT dbt.update_project_dbt_source(%s, %s, %s)', [PROJECT, source, Json(body)])
    connection.rollback()
    return error


def an_error_has_the_body():
    error = error_of('none', BODY)
    assert "LINE 1: " in str(error) and "'{" in str(error), error
    assert SECRET in error.cursor.query.decode()
    assert SECRET in str(error_of(SOURCE, UNSTORABLE))


run({
    **scenario(update_dbt_source),
    **({'trap: an error has the body': an_error_has_the_body} if MODE == 'direct' else {}),
})
