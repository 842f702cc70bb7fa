import gov.aps.jca.CAException;
import gov.aps.jca.Channel;
import gov.aps.jca.Context;
import gov.aps.jca.JCALibrary;
import gov.aps.jca.Monitor;
import gov.aps.jca.dbr.CTRL;
import gov.aps.jca.dbr.DBR;
import gov.aps.jca.dbr.DBRType;
import gov.aps.jca.dbr.LABELS;
import gov.aps.jca.dbr.TIME;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.reflect.Array;
import java.util.HashMap;
import java.util.Map;

/**
 * Hears PVs as CS-Studio does: through its Channel Access library, with its requests (control data once, then a
 * subscription with time stamps and one to properties). A line "hear NAME" or "put NAME VALUE" in, tabs between the
 * words; events out, a line each: what, name, and for a value its severity, alarm status, time stamp and text.
 */
final class Listener {
    private static final Map<String, Channel> channels = new HashMap<>();

    public static void main(final String[] arguments) throws Exception {
        final Context context = JCALibrary.getInstance().createContext(JCALibrary.CHANNEL_ACCESS_JAVA);
        final BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            final String[] words = line.split("\t");
            if (words[0].equals("hear"))
                channels.put(words[1], context.createChannel(words[1], change -> {
                    say(change.isConnected() ? "connected" : "disconnected", words[1]);
                    if (change.isConnected())
                        ask((Channel) change.getSource());
                }, (short) (Channel.PRIORITY_OPI + 1)));
            else
                put(channels.get(words[1]), words[2]);
            context.flushIO();
        }
        System.exit(0); // CAJ's threads would live on
    }

    private static void put(final Channel channel, final String value) throws CAException {
        if (channel.getFieldType().isENUM() || channel.getFieldType().isSTRING())
            channel.put(value);
        else
            channel.put(Double.parseDouble(value));
    }

    private static void ask(final Channel channel) {
        final DBRType type = channel.getFieldType();
        try {
            channel.get(kind("CTRL", type), 1, answer -> {
                final DBR about = answer.getDBR();
                if (!answer.getStatus().isSuccessful())
                    say("nameless", channel.getName());
                else if (about instanceof LABELS)
                    say("labels", channel.getName(), String.join("|", ((LABELS) about).getLabels()));
                else if (about instanceof CTRL)
                    say("limits", channel.getName(), ((CTRL) about).getLowerCtrlLimit() + "|" + ((CTRL) about).getUpperCtrlLimit());
                subscribe(channel, type);
            });
            channel.getContext().flushIO();
        } catch (CAException refused) {
            say("refused", channel.getName(), refused.toString());
        }
    }

    private static void subscribe(final Channel channel, final DBRType type) {
        try {
            channel.addMonitor(kind("TIME", type), 0, Monitor.VALUE | Monitor.ALARM, event -> {
                if (event.getStatus() == null || !event.getStatus().isSuccessful())
                    return; // CAJ says so of every subscription when its channel disconnects
                final DBR value = event.getDBR();
                final TIME time = (TIME) value;
                say("value", channel.getName(), time.getSeverity().getName(), time.getStatus().getName(),
                        time.getTimeStamp().toMMDDYY(), text(value));
            });
            if (!type.isSTRING())
                channel.addMonitor(kind("CTRL", type), 0, Monitor.PROPERTY, event -> { });
            channel.getContext().flushIO();
        } catch (CAException refused) {
            say("refused", channel.getName(), refused.toString());
        }
    }

    private static DBRType kind(final String what, final DBRType type) {
        return DBRType.forName("DBR_" + what + "_" + type.getName().substring("DBR_".length()));
    }

    private static String text(final DBR value) {
        final Object values = value.getValue();
        if (values instanceof byte[])
            return new String((byte[]) values).replaceAll("\0.*", "");
        return Array.getLength(values) == 0 ? "" : String.valueOf(Array.get(values, 0));
    }

    private static synchronized void say(final String... words) {
        System.out.println(String.join("\t", words));
        System.out.flush();
    }
}
