// SPDX-License-Identifier: Apache-2.0

/**
 * The way out: everything that the command prints, and the files that it makes.
 *
 * <p>Read in this order: {@link org.iommu4j.host.Printable} makes text safe to show,
 * {@link org.iommu4j.workbench.output.PrintableWriter} does so with all that is printed and notices what can't be
 * written, {@link org.iommu4j.workbench.output.StandardStreams} puts it on standard output and standard error, and
 * {@link org.iommu4j.workbench.output.Terminal} decides on colours and progress bars. Names of files, arguments and the
 * contents of captures are untrusted. Two walls stand between them and a terminal: a report makes each line or cell of
 * it one line ({@link org.iommu4j.host.Printable#line}), and the writer beneath escapes whatever passed.
 */
package org.iommu4j.workbench.output;
