import psycopg
from psycopg.types.json import Json
from scenario import BODY, MODE, PROJECT, SECRET, SOURCE, UNSTORABLE, failure, run, scenario
from with_psycopg import Jsonb, connection, update_dbt_source

STATEMENT = 'SELECT dbt.update_project_dbt_source(%s, %s, %s)'


def json_is_not_jsonb():
    error = failure(connection.execute, STATEMENT, [PROJECT, SOURCE, Json(BODY)])
    assert error.sqlstate == '42883', error
    assert failure(connection.execute, STATEMENT, [PROJECT, SOURCE, Jsonb(BODY)]).sqlstate == 'P0002'


def an_error_quotes_the_body():
    assert SECRET in str(failure(connection.execute, STATEMENT, [PROJECT, SOURCE, Jsonb(UNSTORABLE)]))


def prepared(client):
    for _ in range(7):
        client.execute('SELECT %s::integer', [1])


# two that prepare: the second makes a statement of a name that the first has made
def a_prepared_statement_behind_a_pooler():
    with psycopg.connect(autocommit=True) as first, psycopg.connect(autocommit=True) as second:
        prepared(first)
        assert failure(prepared, second).sqlstate == '42P05'


run({
    **scenario(update_dbt_source),
    **({'trap: Json': json_is_not_jsonb, 'trap: an error quotes the body': an_error_quotes_the_body} if MODE == 'direct' else {}),
    **({'trap: a prepared statement behind a pooler': a_prepared_statement_behind_a_pooler} if MODE == 'pooled' else {}),
})
