// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.iommu4j.LinuxRelease;
import org.iommu4j.LinuxRelease.Fix;
import org.iommu4j.explorer.TransitionSystem;
import org.iommu4j.explorer.World;
import org.iommu4j.explorer.WorldFactory;
import org.iommu4j.host.InputException;
import org.iommu4j.workbench.explore.PageExplorer;
import org.iommu4j.workbench.page.PageReader;
import org.iommu4j.workbench.page.Programs;
import org.iommu4j.workbench.scenario.Kernel;

/**
 * A page with programs on a machine, as a world that any engine explores. Its input has the page's file name and text,
 * the built-in machine's name, the release, the fixes of its rules, and what must not be.
 */
public final class PageWorlds implements WorldFactory {
    /** Of this process, made when it is first needed. */
    private static final class Parts {
        static final Workbench WORKBENCH = Workbench.create();
    }

    /** For an engine. */
    public PageWorlds() {}

    /** Returns the workbench of this process, whose machines the worlds are made of. */
    static Workbench workbench() {
        return Parts.WORKBENCH;
    }

    /**
     * Names a world; nothing is checked yet.
     *
     * @param file the page's file name, for messages
     * @param text the page
     * @param machine a built-in machine
     * @param never what must not be, in place of what the page says; empty for the page's own
     */
    public static World world(String file, byte[] text, String machine, Kernel kernel, Set<Programs.Property> never) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DataOutputStream output = new DataOutputStream(bytes)) {
            output.writeUTF(file);
            output.writeInt(text.length);
            output.write(text);
            output.writeUTF(machine);
            output.writeUTF(kernel.release().with(List.of()).toString());
            write(output, kernel.release().fixes().stream().map(Fix::toString).toList());
            write(output, never.stream().sorted().map(Enum::name).toList());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return new World(PageWorlds.class, bytes.toByteArray());
    }

    private static void write(DataOutputStream output, Collection<String> texts) throws IOException {
        output.writeInt(texts.size());
        for (String text : texts) {
            output.writeUTF(text);
        }
    }

    /**
     * {@inheritDoc}
     *
     * @throws InputException as {@link PageExplorer#open}
     */
    @Override
    public TransitionSystem open(byte[] input) {
        try (DataInputStream from = new DataInputStream(new ByteArrayInputStream(input))) {
            String file = from.readUTF();
            byte[] text = from.readNBytes(from.readInt());
            String machine = from.readUTF();
            Kernel kernel = Kernel.of(LinuxRelease.built(from.readUTF())).withFixes(read(from));
            Set<Programs.Property> never = EnumSet.noneOf(Programs.Property.class);
            read(from).forEach(name -> never.add(Programs.Property.valueOf(name)));
            return new PageExplorer(
                            workbench().runner(),
                            PageReader.read(file, text),
                            workbench().machines().named(machine),
                            kernel,
                            never)
                    .open();
        } catch (IOException e) {
            throw new IllegalArgumentException("no page's world", e);
        }
    }

    private static Set<String> read(DataInputStream from) throws IOException {
        Set<String> texts = new TreeSet<>();
        for (int left = from.readInt(); left > 0; left--) {
            texts.add(from.readUTF());
        }
        return texts;
    }
}
