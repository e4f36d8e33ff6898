// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.release;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.iommu4j.LinuxRelease;
import org.iommu4j.it.Checkout;
import org.junit.jupiter.api.Test;

/**
 * What the drivers, core, VFIO and KVM read of their rules under every known release is what the checked-in text says;
 * {@code -Diommu4j.releases.write=true} writes it anew.
 *
 * <p>The text has a line for each release in which a value begins. A value that is the same in all releases has none.
 */
class RulesOfReleasesTest {
    private static final List<String> RECORDS = List.of(
            "org.iommu4j.intel.IntelRules",
            "org.iommu4j.amd.AmdRules",
            "org.iommu4j.riscv.RiscvRules",
            "org.iommu4j.core.CoreRules",
            "org.iommu4j.dma.DmaRules",
            "org.iommu4j.vfio.VfioRules",
            "org.iommu4j.kvm.KvmRules");

    @Test
    void everyReleasesValuesAreTheOnesOfTheText() throws IOException, ReflectiveOperationException {
        StringBuilder text = new StringBuilder();
        for (String name : RECORDS) {
            Class<?> type = Class.forName(name);
            for (Field field : fields(type)) {
                text.append(lines(type, field));
            }
        }
        Path file = Checkout.root().resolve("integration-tests/src/test/resources/rules-of-releases.txt");
        if (Boolean.getBoolean("iommu4j.releases.write")) {
            Files.writeString(file, text);
        }
        assertThat(file)
                .as("-Diommu4j.releases.write=true writes it anew")
                .exists()
                .hasContent(text.toString());
        assertThat(text.toString().lines()).hasSizeGreaterThan(80);
    }

    /** Sorted by name, since nothing depends on the order. */
    private static List<Field> fields(Class<?> type) {
        List<Field> fields = new ArrayList<>();
        for (Field field : type.getDeclaredFields()) {
            if (!Modifier.isStatic(field.getModifiers()) && field.getType() != LinuxRelease.class) {
                fields.add(field);
            }
        }
        Collections.sort(fields, (a, b) -> a.getName().compareTo(b.getName()));
        return fields;
    }

    private static String lines(Class<?> type, Field field) throws ReflectiveOperationException {
        Method of = type.getDeclaredMethod("of", LinuxRelease.class);
        of.setAccessible(true);
        field.setAccessible(true);
        StringBuilder lines = new StringBuilder(type.getSimpleName() + "." + field.getName() + "\n");
        String last = "";
        int values = 0;
        for (LinuxRelease release : LinuxRelease.known()) {
            String value = String.valueOf(field.get(of.invoke(null, release)));
            if (!value.equals(last)) {
                lines.append("    ").append(release).append(' ').append(value).append('\n');
                last = value;
                values++;
            }
        }
        return values == 1 ? "" : lines.toString();
    }
}
