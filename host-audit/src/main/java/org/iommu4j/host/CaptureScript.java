// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.spi.IommuVendors;

/** The shell script that makes a capture without Java: a template, and the lists and patterns of a capture. */
public final class CaptureScript {
    private static final String TEMPLATE = "capture.sh";
    private static final int FIRST = 60;
    private static final int WIDTH = 200;

    private CaptureScript() {}

    /**
     * Returns a script for a POSIX shell that makes on a host without Java the tar that {@link HostCapture} makes:
     * {@code sh capture.sh FILE.tar}.
     */
    public static String text() {
        return text(IommuVendors.load());
    }

    private static String text(IommuVendors vendors) {
        LogEssence logs = new LogEssence(vendors);
        Map<String, String> values = new LinkedHashMap<>();
        values.put("MAX", String.valueOf(HostFiles.MAX_FILE_BYTES));
        values.put("CONFIG", Redaction.CONFIG);
        values.put("HEADER", String.valueOf(ConfigSpace.CONVENTIONAL_BYTES));
        values.put("VITAL", String.valueOf(Redaction.CAPABILITY_VITAL_PRODUCT_DATA));
        values.put("SERIAL", String.valueOf(Redaction.EXTENDED_CAPABILITY_SERIAL_NUMBER));
        values.put("HOPS", String.valueOf(Redaction.MAX_HOPS));
        values.put("PARAMETERS", new BootParameters(vendors).names());
        values.put("ANONYMOUS", arguments(Redaction.commands()));
        values.put("LINE", String.valueOf(TextLines.MAX_LINE));
        values.put("ESSENCE", arguments(logs.commands()));
        values.put("DRIVERS", HostCapture.DRIVERS);
        values.put("DEVICES", SysfsReader.DEVICES);
        values.put("FUNCTION", words(HostCapture.OF_FUNCTION));
        values.put("LINKS", String.join(" | ", HostCapture.LINKS));
        values.put("UNITS", SysfsReader.UNITS);
        values.put("GROUPS", SysfsReader.GROUPS);
        values.put("GROUP", words(HostCapture.OF_GROUP));
        values.put("TABLE_NAMES", words(HostCapture.TABLES));
        values.put("TABLES", SysfsReader.TABLES);
        values.put("FILES", words(HostCapture.FILES));
        values.put("CMDLINE", HostCapture.COMMAND_LINE);
        values.put("NO_CMDLINE", HostCapture.NO_COMMAND_LINE);
        values.put("LOGS", words(SysfsReader.LOGS));
        values.put("LEAD", LogEssence.COMMAND_LINE.extended());
        values.put("LOG", SysfsReader.LOGS.get(0));
        values.put("NO_LOG", HostCapture.NO_LOG);
        values.put("PLACES", words(Arrays.asList(PciIds.PLACES)));
        values.put("ROOT_ONLY", HostCapture.ROOT_ONLY);
        values.put("MISSING", HostCapture.MISSING);
        String script = template();
        for (Map.Entry<String, String> value : values.entrySet()) {
            script = script.replace("@" + value.getKey() + "@", value.getValue());
        }
        return script;
    }

    private static String template() {
        try (InputStream in = CaptureScript.class.getResourceAsStream(TEMPLATE)) {
            return new String(Objects.requireNonNull(in, TEMPLATE).readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String words(List<String> words) {
        return wrapped(words, "    ");
    }

    private static String arguments(List<String> commands) {
        return wrapped(commands, "  ");
    }

    /** Joins words by blanks, and begins a line where the next would not fit. */
    private static String wrapped(List<String> words, String indent) {
        StringBuilder text = new StringBuilder();
        int column = FIRST;
        for (String word : words) {
            if (column + word.length() + 3 > WIDTH) {
                text.append(" \\\n").append(indent);
                column = indent.length();
            } else {
                text.append(text.isEmpty() ? "" : " ");
            }
            text.append(word);
            column += word.length() + 1;
        }
        return text.toString();
    }
}
