// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.iommu4j.host.InputException;
import org.iommu4j.host.Printable;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TableVisitor;
import org.iommu4j.workbench.decode.AddressLookup;
import org.iommu4j.workbench.decode.AddressReport;
import org.iommu4j.workbench.decode.GuardedVisitor;
import org.iommu4j.workbench.decode.LateImage;
import org.iommu4j.workbench.decode.MappingJson;
import org.iommu4j.workbench.decode.MappingList;
import org.iommu4j.workbench.decode.MemoryFormat;
import org.iommu4j.workbench.decode.MemoryImage;
import org.iommu4j.workbench.decode.ReadBudget;
import org.iommu4j.workbench.decode.RegisterText;
import org.iommu4j.workbench.decode.TableReaders;
import org.iommu4j.workbench.decode.TableTree;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code iommu4j decode}: prints the tables in a memory dump. */
@Command(
        name = "decode",
        mixinStandardHelpOptions = true,
        description = "Prints the IOMMU's tables found in a memory dump.",
        footer = {
            "",
            "Entries that can't be followed are reported on stderr as 'problem: ...'. The",
            "rest is printed, and the exit code is 2.",
            "In QEMU's monitor, 'xp /70gx 0xfed90000' prints registers and",
            "'pmemsave 0 SIZE FILE' writes a raw image.",
            "",
            "Examples:",
            "  iommu4j decode --registers regs.txt --memory pages.bin.zst",
            "  iommu4j decode --registers regs.txt --memory memory.raw --device 00:05.0 \\",
            "      --iova 0x2e560000"
        })
final class DecodeCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @Option(
            names = "--registers",
            paramLabel = "FILE",
            required = true,
            description = "One unit's registers: lines of QEMU's xp, or of an offset and 64 bits.")
    private @Nullable Path registers;

    @Option(
            names = "--memory",
            paramLabel = "FILE",
            required = true,
            description = "The memory; decompressed into a temporary file when its name ends in .zst.")
    private @Nullable Path memory;

    @Option(
            names = "--memory-format",
            paramLabel = "FORMAT",
            description =
                    "One of: ${COMPLETION-CANDIDATES} (default: by the name; .bin and .pages are pages, .raw, .img,"
                            + " .dump and .mem raw).")
    private @Nullable MemoryFormat memoryFormat;

    @Option(
            names = "--unpack-limit",
            paramLabel = "SIZE",
            converter = SizeConverter.class,
            defaultValue = "1G",
            description =
                    "The most bytes that a compressed memory may have after decompression (default: ${DEFAULT-VALUE}).")
    private long unpackLimit;

    @Option(
            names = "--device",
            paramLabel = "ID",
            converter = SourceIdConverter.class,
            description = "Prints only this requester: 00:05.0, or a source id as in 0x123456.")
    private @Nullable Integer device;

    @Option(
            names = "--iova",
            paramLabel = "ADDR",
            converter = HexConverter.class,
            description = "Prints where a read and a write of this address by the device go; needs --device.")
    private @Nullable Long iova;

    @Option(names = "--list", description = "Prints one line for each mapping instead of a tree (text only).")
    private boolean list;

    @Option(
            names = "--limit",
            paramLabel = "ENTRIES",
            defaultValue = "100000000",
            description = "Stops after this many entries (default: ${DEFAULT-VALUE}); each table adds 512.")
    private long limit;

    @Option(
            names = "--format",
            paramLabel = "FORMAT",
            description = "One of: ${COMPLETION-CANDIDATES} (default: text).")
    private OutputFormat format = OutputFormat.TEXT;

    @Override
    public Integer call() {
        if (iova != null && device == null) {
            throw new InputException("--iova needs --device, for example --device 00:05.0");
        }
        CommandLine commandLine = Objects.requireNonNull(spec).commandLine();
        PrintWriter out = commandLine.getOut();
        PrintWriter err = commandLine.getErr();
        Path registerFile = Objects.requireNonNull(registers);
        Path memoryFile = Objects.requireNonNull(memory);
        RegisterDump dump = RegisterText.read(registerFile);
        try (LateImage image = new LateImage(() -> MemoryImage.open(memoryFile, memoryFormat, unpackLimit))) {
            ReadBudget budget = new ReadBudget(image, limit);
            TableReader reader = TableReaders.choose(
                    registerFile.toString(), MachineFactory.load().providers(), dump, budget);
            image.open().warnings().forEach(line -> err.println(Printable.line("iommu4j: warning: " + line)));
            long problems = print(reader, budget, out, err);
            return problems == 0 ? 0 : Main.EXIT_TROUBLE;
        } finally {
            out.flush();
            err.flush();
        }
    }

    private long print(TableReader reader, ReadBudget budget, PrintWriter out, PrintWriter err) {
        Long address = iova;
        if (address != null) {
            AddressLookup lookup = new AddressLookup(address);
            long problems = visit(reader, budget, lookup, err);
            budget.begin();
            AddressReport report = new AddressReport(reader, address);
            List<AddressLookup.Entry> answers = lookup.answers(reader, Objects.requireNonNull(device));
            out.append(format == OutputFormat.JSON ? report.json(answers) + "\n" : report.text(answers));
            return problems;
        }
        if (format == OutputFormat.JSON) {
            MappingJson json = new MappingJson(out);
            long problems = visit(reader, budget, json, err);
            json.finish();
            return problems;
        }
        if (list) {
            return visit(reader, budget, new MappingList(out), err);
        }
        out.append(Printable.line(reader.describe())).append('\n');
        TableTree tree = new TableTree(out);
        long problems = visit(reader, budget, tree, err);
        tree.finish(device);
        return problems;
    }

    private long visit(TableReader reader, ReadBudget budget, TableVisitor visitor, PrintWriter err) {
        budget.begin();
        GuardedVisitor guarded =
                new GuardedVisitor(visitor, line -> err.println(Printable.line("problem: " + line)), limit);
        try {
            if (device == null) {
                reader.visit(guarded);
            } else {
                reader.visit(device, guarded);
            }
            return guarded.finish();
        } catch (GuardedVisitor.LimitException e) {
            err.println(Printable.line("problem: " + e.getMessage()));
            return guarded.finish() + 1;
        }
    }
}
