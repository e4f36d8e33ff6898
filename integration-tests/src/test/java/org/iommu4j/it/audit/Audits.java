// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.Auditor;
import org.iommu4j.host.HostInputs;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.witness.SharedData;
import org.iommu4j.workbench.audit.AuditText;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi;

/** Audits of files, some of them of real hosts. */
final class Audits {
    static final Auditor AUDITOR = new Auditor(IommuVendors.load());

    private Audits() {}

    static Path capture(String name) {
        return Path.of(Objects.requireNonNull(Audits.class.getResource("/captures/" + name + ".tar"), name)
                .getPath());
    }

    static Audit of(Path... inputs) {
        return of(Optional.empty(), List.of(), inputs);
    }

    static Audit of(Optional<LinuxRelease> release, List<PciAddress> assigned, Path... inputs) {
        HostInputs reader = HostInputs.withInstalledVendors();
        Stream.of(inputs).forEach(reader::path);
        return AUDITOR.audit(reader.read(), release, assigned);
    }

    static Audit assigning(Path input, String release, String... devices) {
        return of(
                Optional.of(LinuxRelease.named(release)),
                Stream.of(devices).map(PciAddress::parse).toList(),
                input);
    }

    static List<String> text(Audit audit) {
        return new AuditText(Help.defaultColorScheme(Ansi.OFF), false, 100)
                .of(audit)
                .lines()
                .toList();
    }

    /** What an operator sees without scrolling, as one line. */
    static String firstFive(Audit audit) {
        return String.join(" ", text(audit).subList(0, 5)).replaceAll(" +", " ");
    }

    static List<String[]> table(String name) throws IOException {
        return Files.readAllLines(SharedData.path(name), StandardCharsets.UTF_8).stream()
                .skip(1)
                .map(line -> line.split("\t", -1))
                .toList();
    }
}
