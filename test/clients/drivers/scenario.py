# What docs/clients.md promises of each driver, and how a file says what it found.
import sys
import traceback

MODE, PROJECT, SOURCE = sys.argv[1:]
SECRET = 'sesame'
OTHER = '22222222-2222-4222-8222-222222222222'
CLAIMS = {'projects': [PROJECT], 'manages': [PROJECT]}
VIEWS = {'projects': [PROJECT], 'manages': []}


def connection(**fields):
    return {'dbtConnection': {'type': 'gitlab', 'personal_access_token': SECRET, 'repository': 'acme/shop',
                              'project_sub_path': '/', **fields}}


BODY = connection(branch='main')
INVALID = connection(environment=[{'key': 'PATH', 'value': SECRET}])
UNSTORABLE = {'dbtConnection': {'type': 'gitlab', 'personal_access_token': SECRET, 'branch': '\0'}}


def failure(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        return error
    raise AssertionError('there was no error')


def shown(error):
    """Whatever a logger could make of an error."""
    return repr(error) + repr(vars(error)) + ''.join(traceback.format_exception(type(error), error, error.__traceback__))


def scenario(update):
    def fails(arguments, status, sqlstate, message, problems=[]):
        error = failure(update, *arguments)
        assert (error.status, error.sqlstate, error.problems) == (status, sqlstate, problems), shown(error)
        assert str(error).startswith(message), shown(error)
        assert SECRET not in shown(error)

    def a_body_with_a_secret():
        summary = update(CLAIMS, PROJECT, SOURCE, BODY)
        assert summary['branch'] == 'main' and summary['hasCredentialError'] is False
        assert SECRET not in repr(summary)

    def nothing_is_left_of_a_request():
        for _ in range(7):
            update(CLAIMS, PROJECT, SOURCE, BODY)
            fails(({}, PROJECT, SOURCE, BODY), 404, 'P0002', 'project not found')

    errors = {
        'problems': ((CLAIMS, PROJECT, SOURCE, INVALID), 400, '22023', 'invalid dbt source',
                     [('dbtConnection.environment[0].key', 'must not name a variable that changes how dbt runs'),
                      ('dbtConnection.branch', 'is required')]),
        'a path that is quoted': ((CLAIMS, PROJECT, SOURCE, {'dbtConnection': {'type': 'none', 'a: "b\n': 10 ** 401}}), 400, '22023',
                                  'invalid dbt source',
                                  [('dbtConnection."a: \\"b\\u000a"',
                                    'must be a number in the range of a double (5e-324 to 1.8e308), of at most 400 digits')]),
        'what jsonb cannot hold': ((CLAIMS, PROJECT, SOURCE, UNSTORABLE), 400, '22P05', 'unsupported Unicode escape sequence'),
        'a uuid that is none': ((CLAIMS, PROJECT, 'none', BODY), 400, '22P02', 'invalid input syntax for type uuid: '),
        'no such source': ((CLAIMS, PROJECT, OTHER, BODY), 404, 'P0002', 'dbt source not found'),
        'no such project': ((CLAIMS, OTHER, SOURCE, BODY), 404, 'P0002', 'project not found'),
        'who only views': ((VIEWS, PROJECT, SOURCE, BODY), 403, '42501', 'permission denied for project'),
        'a name that is taken': ((CLAIMS, PROJECT, SOURCE, {'name': 'taken'}), 409, '23505',
                                 'project already has a dbt source of that name'),
    }
    return {'a body with a secret': a_body_with_a_secret,
            **{name: lambda expected=expected: fails(*expected) for name, expected in errors.items()},
            'nothing is left of a request': nothing_is_left_of_a_request}


def run(tests):
    """Each test is a line; the last one tells that there are no more."""
    for name, test in tests.items():
        try:
            test()
            print('ok -', name)
        except Exception:
            print('not ok -', name)
            traceback.print_exc(file=sys.stdout)
    print('done')
