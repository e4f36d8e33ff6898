// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.iommu4j.host.InputException;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.release.RuleSheet;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.workbench.output.Json;
import org.iommu4j.workbench.output.Terminal;
import org.iommu4j.workbench.scenario.RuleModules;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code iommu4j rules}: what Linux does differently from release to release. */
@Command(
        name = "rules",
        mixinStandardHelpOptions = true,
        description = "Prints what kernel releases do differently, what decides coherence first.")
final class RulesCommand implements Callable<Integer> {
    private enum Format {
        TEXT,
        JSON,
        MARKDOWN;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    @Spec
    private @Nullable CommandSpec spec;

    @Option(names = "--linux", paramLabel = "KERNEL", description = "Only what holds there: 6.12, 6.12.95+deb13.")
    private @Nullable String linux;

    @Option(names = "--diff", paramLabel = "X..Y", description = "Only what changed from one release to another.")
    private @Nullable String diff;

    @Option(names = "--format", paramLabel = "FORMAT", description = "One of: ${COMPLETION-CANDIDATES}.")
    private Format format = Format.TEXT;

    @Override
    public Integer call() {
        Map<String, List<ReleaseRule<?>>> modules = RuleModules.of(IommuVendors.load());
        if (linux != null && diff != null) {
            throw new InputException("--linux and --diff ask two questions, expected one of them");
        }
        RuleSheet sheet = diff == null ? RuleSheet.of(linux, modules) : RuleSheet.diff(diff, modules);
        PrintWriter out = Objects.requireNonNull(spec).commandLine().getOut();
        switch (format) {
            case TEXT -> out.print(sheet.text(Terminal.columns()));
            case JSON -> out.println(Json.page(sheet));
            case MARKDOWN -> out.print(sheet.markdown());
        }
        out.flush();
        return 0;
    }
}
