import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.UUID;

class JdbcTest {
    static final String SECRET = "sesame";
    static final String OTHER = "22222222-2222-4222-8222-222222222222";
    static final String UPDATE = "SELECT dbt.update_project_dbt_source(?, ?, ";
    static String mode, url, project, source, claims;
    static Connection connection;

    interface Test {
        void run() throws Exception;
    }

    static void check(String name, Test test) {
        try {
            test.run();
            System.out.println("ok - " + name);
        } catch (Throwable failure) {
            System.out.println("not ok - " + name);
            failure.printStackTrace(System.out);
        }
    }

    static void must(boolean holds, Object what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static String body(String fields) {
        return "{\"dbtConnection\": {\"type\": \"gitlab\", \"personal_access_token\": \"sesame\", "
            + "\"repository\": \"acme/shop\", \"project_sub_path\": \"/\"" + fields + "}}";
    }

    static final String BODY = body(", \"branch\": \"main\"");
    static final String UNSTORABLE = "{\"dbtConnection\": {\"type\": \"gitlab\", \"personal_access_token\": \"sesame\", \"branch\": \"\\u0000\"}}";

    static SQLException failure(Test call) throws Exception {
        try {
            call.run();
        } catch (SQLException error) {
            return error;
        }
        throw new AssertionError("there was no error");
    }

    static void fails(String claims, String project, String source, String body, String state, String... problems) throws Exception {
        SQLException error = failure(() -> DbtSources.update(connection, claims, UUID.fromString(project), UUID.fromString(source), body));
        must(state.equals(error.getSQLState()), error);
        must(Arrays.equals(problems, DbtSources.problems(error)), error);
        must(!error.toString().contains(SECRET), error);
    }

    static SQLException direct(Connection connection, String cast, String body) throws Exception {
        SQLException error = failure(() -> {
            try (PreparedStatement update = connection.prepareStatement(UPDATE + cast + ")")) {
                update.setObject(1, UUID.fromString(project));
                update.setObject(2, UUID.fromString(source));
                update.setString(3, body);
                must(update.toString().contains(SECRET), update);
                update.executeQuery();
            }
        });
        connection.rollback();
        return error;
    }

    static void ask(Connection connection) throws SQLException {
        for (int i = 0; i < 7; i++) {
            try (PreparedStatement one = connection.prepareStatement("SELECT ?::integer")) {
                one.setInt(1, 1);
                one.executeQuery();
            }
            connection.commit();
        }
    }

    static Connection unprepared() throws SQLException {
        Connection connection = DriverManager.getConnection(url);
        connection.setAutoCommit(false);
        return connection;
    }

    public static void main(String[] arguments) throws Exception {
        mode = arguments[0];
        project = arguments[1];
        source = arguments[2];
        url = System.getenv("JDBC_URL");
        claims = "{\"projects\": [\"" + project + "\"], \"manages\": [\"" + project + "\"]}";
        connection = DbtSources.connect(url);

        check("a body with a secret", () -> {
            String summary = DbtSources.update(connection, claims, UUID.fromString(project), UUID.fromString(source), BODY);
            must(summary.contains("\"branch\": \"main\"") && !summary.contains(SECRET), summary);
        });
        check("problems", () -> fails(claims, project, source, body(", \"environment\": [{\"key\": \"PATH\", \"value\": \"sesame\"}]"), "22023",
            "dbtConnection.environment[0].key: must not name a variable that changes how dbt runs", "dbtConnection.branch: is required"));
        check("what jsonb cannot hold", () -> fails(claims, project, source, UNSTORABLE, "22P05"));
        check("no such source", () -> fails(claims, project, OTHER, BODY, "P0002"));
        check("no such project", () -> fails(claims, OTHER, source, BODY, "P0002"));
        check("who only views", () -> fails("{\"projects\": [\"" + project + "\"]}", project, source, BODY, "42501"));
        check("a name that is taken", () -> fails(claims, project, source, "{\"name\": \"taken\"}", "23505"));
        check("nothing is left of a request", () -> {
            for (int i = 0; i < 7; i++) {
                DbtSources.update(connection, claims, UUID.fromString(project), UUID.fromString(source), BODY);
                fails("{}", project, source, BODY, "P0002");
            }
        });
        if (mode.equals("direct")) {
            check("trap: a varchar", () -> must(direct(connection, "?", BODY).getSQLState().equals("42883"), "a jsonb"));
            check("trap: the message of an error quotes the body", () -> {
                try (Connection telling = unprepared()) {
                    must(direct(telling, "?::jsonb", UNSTORABLE).getMessage().contains(SECRET), "it is hidden");
                }
                must(!direct(connection, "?::jsonb", UNSTORABLE).getMessage().contains(SECRET), "it is told");
            });
        }
        if (mode.equals("pooled")) {
            check("trap: a prepared statement behind a pooler", () -> {
                try (Connection first = unprepared(); Connection second = unprepared()) {
                    ask(first);
                    must(failure(() -> ask(second)).getSQLState().equals("42P05"), "prepared");
                }
            });
        }
        connection.close();
        System.out.println("done");
    }
}
