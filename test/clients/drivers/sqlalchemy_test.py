import json
import logging
import sqlalchemy
from scenario import BODY, MODE, PROJECT, SECRET, SOURCE, failure, run, scenario
from with_sqlalchemy import engine, update_dbt_source


def error_of(engine, body, source=SOURCE):
    with engine.connect() as connection:
        return failure(connection.execute, sqlalchemy.text(f'SELECT dbt.update_project_dbt_source(:project, :source, {body})'),
                       {'project': PROJECT, 'source': source, 'body': json.dumps(BODY)})


def parameters_of_an_error():
    shown = sqlalchemy.create_engine('postgresql+psycopg2://')
    assert SECRET in str(error_of(shown, 'CAST(:body AS jsonb)'))
    hidden = error_of(engine, 'CAST(:body AS jsonb)')
    assert SECRET not in str(hidden) and SECRET in repr(hidden.params)
    assert 'LINE 1:' in str(error_of(engine, 'CAST(:body AS jsonb)', 'none'))


def two_colons():
    assert error_of(engine, ':body::jsonb').orig.pgcode == '42601'


def echo():
    told = []

    class Handler(logging.Handler):
        def emit(self, record):
            told.append(record.getMessage())

    logger = logging.getLogger('sqlalchemy.engine')
    logger.addHandler(Handler())
    logger.setLevel(logging.INFO)
    for hide_parameters in (True, False):
        told.clear()
        error_of(sqlalchemy.create_engine('postgresql+psycopg2://', hide_parameters=hide_parameters), 'CAST(:body AS jsonb)')
        assert told and (SECRET in ''.join(told)) != hide_parameters, told
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)


run({
    **scenario(update_dbt_source),
    **({'trap: parameters of an error': parameters_of_an_error, 'trap: a cast': two_colons, 'trap: echo': echo} if MODE == 'direct' else {}),
})
